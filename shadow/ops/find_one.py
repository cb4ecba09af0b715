"""``find_one``: a ``find`` of one document in a single batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver, DriverRead
from shadow.ops.find import find_command, found_id
from shadow.ops.replies import first_batch


class FindOneOp(DriverRead[Any]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one`."""

    name: ClassVar[str] = "find_one"

    def __init__(self, driver: Driver, filter: Any, *args: Any, session: Any = None, **kwargs: Any) -> None:
        super().__init__(driver, session)
        self.args = (filter, *args)
        self.kwargs = kwargs

    @cached_property
    def _command(self) -> Command:
        filter, *args = self.args
        if filter is not None and not isinstance(filter, Mapping):
            filter = {"_id": filter}
        if type(filter) is dict and not args and not self.kwargs:
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
        return found_id(self._command)
