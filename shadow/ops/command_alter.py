"""Commands that alter a collection, or tell of its indexes and plans, as the caller wrote them."""

from __future__ import annotations

from typing import Any, Final

from shadow.ops.alter import AlterOp
from shadow.ops.base import Command, Reply
from shadow.ops.command import Called

ALTERATIONS: Final = frozenset(("createIndexes", "dropIndexes", "listIndexes", "drop", "explain"))
"""The commands that this operation serves."""


class AlterCommandOp(AlterOp[Any]):
    """One of them; the driver's reply, or its cursor."""

    def __init__(self, called: Called) -> None:
        super().__init__(called.driver, called.session, {})
        self.name = called.name  # type: ignore[misc]  # each command has its own
        self.changes = called.name not in ("listIndexes", "explain")  # type: ignore[misc]
        self.empties = called.name == "drop"  # type: ignore[misc]
        self._called = called

    def _command(self) -> Command:
        return self._called.document

    async def on_legacy(self) -> Any:
        return await self._called.on_legacy(None)

    async def follow(self) -> None:
        if self.empties:
            await self.driver.collection.drop_indexes()
        else:
            await self.on_legacy()

    def result(self, reply: Reply) -> Any:
        return self._called.told(reply)
