"""A cursor on new: it keeps a connection in a transaction until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from shadow.ops.aggregate import AggregateOp
from shadow.ops.cursor import CursorRead
from shadow.ops.patience import Patience
from shadow.router.answers import driver_exception
from shadow.router.monitoring import Nobody, heard
from shadow.router.waits import answering, latest, taken, timed, while_live
from shadow_adapters.contract import Fence
from shadow_adapters.failures import OutcomeUnknown, StoreDown
from shadow_adapters.postgres.call import Neighbours, no_neighbours
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Opened:
    """The store that a cursor was opened on: new's cursor, or None where the driver's own answers."""

    cursor: Any
    observe: Callable[[Sequence[Any] | None, bool], None] | None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class NewCursor:
    """`shadow.ops.base.Cursor` over one connection of the pool, given back at the end."""

    def __init__(
        self,
        stack: AsyncExitStack,
        conn: Connection,
        cursor: Any,
        command: Mapping[str, Any],
        lapsed: Callable[[], bool] | None = None,
        listening: Nobody | None = None,
    ) -> None:
        self._stack = stack
        self._listening = listening
        self._lapsed = lapsed
        self._conn = conn
        self._cursor = cursor
        self._command = command
        self._first: list[dict[str, Any]] | None = None

    @classmethod
    async def open(
        cls,
        pool: Pool,
        engine: Engine,
        op: CursorRead,
        fence: Fence | None,
        neighbours: Neighbours = no_neighbours,
        lapsed: Callable[[], bool] | None = None,
    ) -> NewCursor:
        """Open and read the first batch. Raises `NotReadable`, `CommandFailure`, `StoreDown`.

        ``lapsed``: whether the process's lease has, where legacy is the authority; further batches end with it.
        """
        # What an aggregation computes waits for nothing, so that only its own look at the time can end it.
        command = timed(op.patience, op.command()) if isinstance(op, AggregateOp) else op.command()
        until = latest(op.patience, command)
        async with AsyncExitStack() as stack:
            with heard(op, fence) as listening:
                conn = await taken(stack, pool, until)
                with answering(conn, until):
                    cursor = await engine.open(conn, dict(command), fence, neighbours)
                    first = await cursor.batch()
            listening.found(first)
            opened = cls(stack.pop_all(), conn, cursor, command, lapsed)
            opened._first = first
            if not first:
                await opened.close()
            return opened

    async def batch(self, patience: Patience | None = None) -> list[dict[str, Any]]:
        """The next documents; an empty list at the end, where the connection goes back.

        Raises `CommandFailure`, and what the driver raises where PostgreSQL is lost or late.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._cursor is None:
            return []
        try:
            with answering(self._conn, latest(patience, self._command)), while_live(self._conn, self._lapsed):
                documents: list[dict[str, Any]] = await self._cursor.batch()
        except (StoreDown, OutcomeUnknown) as error:
            raise driver_exception(error) from error
        except asyncio.CancelledError:
            self._conn.terminate()  # or giving it back would wait for a server that may be frozen
            await self.close()
            raise
        if self._listening is not None:
            self._listening.found(documents)
            self._listening = None
        if not documents:
            await self.close()
        return documents

    async def close(self) -> None:
        """Give the connection back. May be called twice."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close()
            await self._stack.aclose()
