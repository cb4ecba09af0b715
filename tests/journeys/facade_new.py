"""A router that serves everything from PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from shadow.metrics.tally import Tally
from shadow.ops.base import LedByNew
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts import layout_for
from shadow_adapters.postgres.pool import Pool, create_pool


class OpenedOnNew:
    """A cursor of new, which notes what it delivered."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.loop = asyncio.get_running_loop()
        self.delivered: list[tuple[list[Any], bool]] = []

    def observe(self, documents: Any, complete: bool) -> None:
        self.delivered.append((list(documents), complete))


class NewRouter:
    """Executes the operations' commands on PostgreSQL."""

    quiet = False

    def __init__(self, pool: Pool, engine: Engine) -> None:
        self.direct = Tally()
        self.pool, self.engine = pool, engine
        self.opened: list[OpenedOnNew] = []
        self.others: list[str] = []

    @classmethod
    async def make(cls, dsn: str, entity: str, namespace: str) -> NewRouter:
        layout = layout_for(entity, layout="documents", table=f"shadow_documents.{entity}", id_column="id", columns={})
        conn = await asyncpg.connect(dsn)
        for statement in layout.ddl():
            await conn.execute(statement)
        await conn.close()
        pool = await create_pool(dsn, min_size=1, max_size=4, role="test", asynchronous_commit=True)
        return cls(pool, Engine(entity, namespace, layout))

    async def meet(self) -> None:
        """Nothing has to be learned."""

    def met(self, loop: Any) -> bool:
        return True

    async def read(self, op: Any) -> Any:
        async with self.pool.connection() as conn:
            return op.result(await self.engine.execute(conn, op.command()))

    write = alter = read

    async def open(self, op: Any) -> Any:
        conn = await self.pool.open()
        self.opened.append(OpenedOnNew(_Owned(await self.engine.open(conn, op.command()), conn)))
        return self.opened[-1]

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[Any]]) -> Any:
        raise LedByNew("new")

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[Any]]) -> Any:
        self.others.append(name)
        raise NotImplementedError(name)


class _Owned:
    """A cursor together with the connection that it was opened on."""

    def __init__(self, cursor: Any, conn: Any) -> None:
        self._cursor, self._conn = cursor, conn
        self.closed = False

    async def batch(self, patience: Any = None) -> Any:
        return await self._cursor.batch()

    async def close(self) -> None:
        self.closed = True
        await self._cursor.close()
        await self._conn.close()
