"""Held connections for control: opened when first needed, dropped when broken, given back without a round trip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from shadow_adapters.failures import StoreDown

DOWN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in a transaction
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    TimeoutError,
)
"""What means that the server did not say anything about the statement (psql: classes 08, 53, 57)."""

Connection = Any  # asyncpg's own stubs make Connection generic over its record class; nothing here depends on it


_QUICK = {
    "synchronous_commit": "off",
    # The statements of marks and syncs are few and large; planned at each call, that takes longer than what they do.
    "plan_cache_mode": "force_generic_plan",
    # Nor may one that was planned while there were few marks read all of them when there are many: each is looked up.
    "enable_seqscan": "off",
}


class Connections:
    """A stack of connections to one server, for one event loop.

    Args:
        dsn: where to connect.
        name: what `pg_stat_activity` shows.
        asynchronous: commit without waiting for the flush (marks and syncs; never leases or transitions).
        timeout: seconds for a connect, and for a statement of those who do not bound it themselves.
    """

    def __init__(self, dsn: str, *, name: str, asynchronous: bool, timeout: float) -> None:
        self._dsn = dsn
        self._settings = {"application_name": name, "timezone": "UTC", "jit": "off", "synchronous_commit": "on"}
        if asynchronous:
            self._settings |= _QUICK
        self._timeout = timeout
        self._free: list[Connection] = []
        self.opened = 0

    async def take(self, within: float | None = None) -> Connection:
        """A connection that nobody else uses; ``within``: seconds for a connect. Raises `StoreDown`."""
        while self._free:
            conn = self._free.pop()
            if not conn.is_closed():
                return conn
            self.opened -= 1
        try:
            conn = await asyncpg.connect(
                self._dsn,
                timeout=self._timeout if within is None else within,
                command_timeout=self._timeout,
                server_settings=self._settings,
            )
        except DOWN as error:
            raise StoreDown(f"PostgreSQL: {type(error).__name__}") from error
        self.opened += 1
        return conn

    def give(self, conn: Connection) -> None:
        """Back on the stack; a broken one, or one in the middle of something, is dropped."""
        if conn.is_closed() or conn.is_in_transaction():
            self.drop(conn)
        else:
            self._free.append(conn)

    def drop(self, conn: Connection) -> None:
        """End the connection now; the server releases its locks."""
        self.opened -= 1
        conn.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for one block. What says that the server is away becomes `StoreDown`."""
        conn = await self.take()
        try:
            yield conn
        except BaseException as error:
            self._failed(conn, error)
            raise
        self.give(conn)

    async def execute(self, statement: str, *args: object, within: float | None = None) -> None:
        """One statement, as cheap as it gets: a caller's write waits for some. Raises as `connection` does.

        ``within``: seconds for the statement, and for a connect before it.
        """
        conn = await self.take(within)
        try:
            await conn.execute(statement, *args, timeout=within)
        except BaseException as error:
            self._failed(conn, error)
            raise
        self.give(conn)

    def _failed(self, conn: Connection, error: BaseException) -> None:
        """Keep a connection after an error that leaves it in order."""
        if isinstance(error, DOWN):
            self.drop(conn)
            raise StoreDown(f"PostgreSQL: {type(error).__name__}") from error
        if isinstance(error, asyncio.CancelledError):
            self.drop(conn)
        else:
            self.give(conn)

    def close(self) -> None:
        """Terminate what is on the stack."""
        while self._free:
            self.drop(self._free.pop())
