"""The router of a collection that is not configured, for a façade's collection that was made by its class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shadow.facade.contract import Opened
from shadow.metrics.tally import Tally
from shadow.ops.alter import AlterOp
from shadow.ops.base import Cursor, ReadOp, WriteOp
from shadow.ops.cursor import CursorRead

R = TypeVar("R")


class OpenedOnLegacy:
    """A cursor of legacy that nobody compares."""

    cursor: Cursor | None = None
    observe = None
    loop = None


class Unrouted:
    """Everything is legacy's."""

    quiet = True

    def __init__(self) -> None:
        self.direct = Tally()  # which nobody reads

    async def meet(self) -> None:
        """There is nothing to learn."""

    def begin(self) -> bool:
        return True

    def end(self, begun: bool, error: BaseException | None) -> None:
        """Nobody waits for it."""

    async def read(self, op: ReadOp[R]) -> R:
        return await op.on_legacy()

    async def write(self, op: WriteOp[R]) -> R:
        return await op.on_legacy()

    async def open(self, op: CursorRead) -> Opened:
        return OpenedOnLegacy()

    async def alter(self, op: AlterOp[R]) -> R:
        return await op.on_legacy()

    async def apart(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        return await call()

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
        return await call()

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[R]]) -> R:
        return await on_legacy()
