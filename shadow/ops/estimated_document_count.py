"""``estimated_document_count``: the ``count`` command without a filter, which legacy answers from its metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver, DriverRead
from shadow.ops.replies import checked


class EstimatedDocumentCountOp(DriverRead[int]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.estimated_document_count`; no session."""

    name: ClassVar[str] = "estimated_document_count"

    def __init__(self, driver: Driver, **options: Any) -> None:
        super().__init__(driver, None)
        self.options = options

    def command(self) -> Command:
        command: Command = self.driver.wire({"count": self.driver.name, **self.options})
        return command

    async def on_legacy(self) -> int:
        count: int = await self.driver.collection.estimated_document_count(**self.options)
        return count

    def result(self, reply: Reply) -> int:
        return int(checked(reply)["n"])

    def id(self) -> Any | None:
        return None
