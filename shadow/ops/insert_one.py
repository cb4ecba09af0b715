"""``insert_one``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from bson.raw_bson import RawBSONDocument
from pymongo.results import InsertOneResult

from shadow.ops.base import Bound, Command, Named, Reply, Target
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.insert import give_id, insert_command, whole_records
from shadow.ops.replies import checked_write
from shadow_adapters.contract import Key, Record


class InsertOneOp(DriverWrite[InsertOneResult]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.insert_one`."""

    name: ClassVar[str] = "insert_one"

    def __init__(self, driver: Driver, document: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)
        self.document = give_id(document)

    @cached_property
    def _wire(self) -> dict[str, Any]:
        return self.driver.wire_document(self.document)

    def command(self) -> Command:
        return insert_command(self.driver, [self._wire], True, self.common())

    async def on_legacy(self) -> InsertOneResult:
        return await self.call(self.document)

    def result(self, reply: Reply) -> InsertOneResult:
        if self.acknowledged:
            checked_write(reply)
        id = None if isinstance(self.document, RawBSONDocument) else self.document["_id"]
        return InsertOneResult(id, self.acknowledged)

    def observed(self, result: InsertOneResult) -> Any:
        return self.driver.wire(result.inserted_id)

    def targets(self) -> Sequence[Target]:
        return [Named(self._wire["_id"])]

    def bind(self, bound: Sequence[Bound]) -> InsertOneOp:
        return self

    def whole(self) -> Mapping[Key, Record | None] | None:
        return whole_records([self._wire])
