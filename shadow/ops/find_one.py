"""``find_one``: a ``find`` of one document in a single batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import bson

from shadow.ops.base import Command, Named, Reply
from shadow.ops.driver import Driver, DriverRead
from shadow.ops.find import find_command, found_id
from shadow.ops.replies import first_batch
from shadow.ops.targets import plain_id
from shadow_adapters.contract import Record


class FindOneOp(DriverRead[Any]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one`."""

    name: ClassVar[str] = "find_one"

    def __init__(self, driver: Driver, filter: Any, *args: Any, session: Any = None, **kwargs: Any) -> None:
        super().__init__(driver, session or None)  # as the driver's cursor takes it
        self.args = (filter, *args)
        self.kwargs = kwargs

    @property
    def _plain(self) -> bool:
        return len(self.args) == 1 and not self.kwargs

    def record_id(self) -> Named | None:
        return plain_id(self.args[0]) if self._plain else None

    def of_record(self, record: Record | None) -> Any:
        return None if record is None else bson.decode(record, self.driver.codec)

    def as_record(self, result: Any) -> Record | None:
        return None if result is None else bson.encode(result, codec_options=self.driver.codec)

    @cached_property
    def _command(self) -> Command:
        filter, *args = self.args
        if filter is not None and not isinstance(filter, Mapping):
            filter = {"_id": filter}
        if type(filter) is dict and self._plain:
            # Most calls: what the cursor below would come to, without making one.
            return {"find": self.driver.name, "filter": self.driver.wire(filter), "limit": 1, "singleBatch": True}
        return find_command(self.driver, self.driver.core.find(filter, *args, **self.kwargs).limit(-1))

    def command(self) -> Command:
        return self._command

    async def on_legacy(self) -> Any:
        return await self.driver.collection.find_one(*self.args, session=self.session, **self.kwargs)

    def result(self, reply: Reply) -> Any:
        batch = first_batch(reply)
        return self.driver.native(batch[0]) if batch else None

    def observed(self, result: Any) -> dict[str, Any] | None:
        return None if result is None else self.driver.wire_document(result)

    def id(self) -> Any | None:
        return self.record_id() or found_id(self._command)
