"""Commands that read a collection, as the caller wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shadow.ops.base import Command, Named, Reply
from shadow.ops.command import Called
from shadow.ops.distinct import as_set
from shadow.ops.driver import DriverRead
from shadow.ops.targets import fixed_id

_FIRST_BATCH = 101


class ReadCommandOp(DriverRead[Any]):
    """``find``, ``aggregate``, ``count`` or ``distinct``; the driver's reply, or its cursor."""

    def __init__(self, called: Called) -> None:
        super().__init__(called.driver, called.session)
        self.name = called.name  # type: ignore[misc]  # each command has its own
        self._called = called

    def command(self) -> Command:
        document = self._called.document
        if document.get("singleBatch") and not document.get("limit"):
            return {**document, "limit": document.get("batchSize") or _FIRST_BATCH}
        return document

    async def on_legacy(self) -> Any:
        return await self._called.on_legacy(None)

    def result(self, reply: Reply) -> Any:
        return self._called.told(reply)

    def observed(self, result: Any) -> Any:
        return _OBSERVED[self.name](self._called.wire(result))

    def id(self) -> Named | None:
        filter = self._called.document.get("filter" if self.name == "find" else "query")
        collation = self._called.document.get("collation")
        return fixed_id(filter, collation) if isinstance(filter, Mapping) else None


def _first_batch(reply: Reply) -> Any:
    """How much of an answer is in the first batch is the store's choice, so that no two can be compared."""
    raise TypeError("a first batch is not compared")


_OBSERVED: Final[Mapping[str, Callable[[Reply], Any]]] = {
    "find": _first_batch,
    "aggregate": _first_batch,
    "count": lambda reply: reply["n"],
    "distinct": lambda reply: as_set(reply["values"]),
}
READS: Final = frozenset(_OBSERVED)
"""The commands that this operation serves."""
