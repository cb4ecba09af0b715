"""``insert_many``: to the driver a bulk of inserts, whose errors are a `pymongo.errors.BulkWriteError`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from bson.raw_bson import RawBSONDocument
from pymongo.results import InsertManyResult

from shadow.ops.base import Bound, Command, Named, Reply, Target
from shadow.ops.bulk import INSERT, bulk_details
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.insert import give_id, insert_command, whole_records
from shadow_adapters.contract import Key, Record


class InsertManyOp(DriverWrite[InsertManyResult]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.insert_many`."""

    name: ClassVar[str] = "insert_many"

    def __init__(
        self, driver: Driver, documents: Any, ordered: bool = True, *, session: Any = None, **options: Any
    ) -> None:
        super().__init__(driver, session, options)
        self.ordered = ordered
        if not isinstance(documents, Iterable) or isinstance(documents, Mapping) or not documents:
            raise TypeError("documents must be a non-empty list")
        self.documents = [give_id(document) for document in documents]

    @cached_property
    def _wire(self) -> list[dict[str, Any]]:
        return [self.driver.wire_document(document) for document in self.documents]

    def command(self) -> Command:
        return insert_command(self.driver, self._wire, self.ordered, self.common())

    async def on_legacy(self) -> InsertManyResult:
        return await self.call(self.documents, self.ordered)

    def result(self, reply: Reply) -> InsertManyResult:
        if self.acknowledged:
            bulk_details(INSERT, self.documents, reply)
        ids = [document["_id"] for document in self.documents if not isinstance(document, RawBSONDocument)]
        return InsertManyResult(ids, self.acknowledged)

    def observed(self, result: InsertManyResult) -> Any:
        return self.driver.wire(result.inserted_ids)

    def targets(self) -> Sequence[Target]:
        return [Named(document["_id"]) for document in self._wire]

    def bind(self, bound: Sequence[Bound]) -> InsertManyOp:
        return self

    def whole(self) -> Mapping[Key, Record | None] | None:
        return whole_records(self._wire)
