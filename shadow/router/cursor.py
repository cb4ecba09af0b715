"""A cursor on new: it keeps a connection in a transaction until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from shadow_adapters.contract import Fence
from shadow_adapters.postgres.call import Neighbours, no_neighbours
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class Opened:
    """The store that a cursor was opened on: new's cursor, or None where the driver's own answers."""

    cursor: Any
    observe: Callable[[Sequence[Any], bool], None] | None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class NewCursor:
    """`shadow.ops.base.Cursor` over one connection of the pool, given back at the end."""

    def __init__(self, stack: AsyncExitStack, cursor: Any, first: list[dict[str, Any]]) -> None:
        self._stack = stack
        self._cursor = cursor
        self._first: list[dict[str, Any]] | None = first

    @classmethod
    async def open(
        cls,
        pool: Pool,
        engine: Engine,
        command: Mapping[str, Any],
        fence: Fence | None,
        neighbours: Neighbours = no_neighbours,
    ) -> NewCursor:
        """Open and read the first batch. Raises `NotReadable`, `CommandFailure`, `StoreDown`."""
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(pool.connection())
            cursor = await engine.open(conn, dict(command), fence, neighbours)
            first = await cursor.batch()
            opened = cls(stack.pop_all(), cursor, first)
            if not first:
                await opened.close()
            return opened

    async def batch(self) -> list[dict[str, Any]]:
        """The next documents; an empty list at the end, where the connection goes back."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._cursor is None:
            return []
        documents: list[dict[str, Any]] = await self._cursor.batch()
        if not documents:
            await self.close()
        return documents

    async def close(self) -> None:
        """Give the connection back. May be called twice."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close()
            await self._stack.aclose()
