"""Connections to PostgreSQL for one event loop, handed out and taken back without a round trip.

asyncpg's own pool sends a reset query on release, which doubles the cost of a read by key. Nothing in Shadow changes a
session's settings after connecting, so there is nothing to reset: a connection that comes back idle is used again, one
that comes back in a transaction is rolled back, and one whose query was cancelled or that broke is thrown away.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, TypeAlias

import asyncpg

from shadow_adapters.failures import StoreDown
from shadow_adapters.postgres.errors import ERRORS, is_lost

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_STATEMENTS = 512


class Pool:
    """A bounded set of connections. Use `create_pool`; not to be shared between event loops."""

    def __init__(self, dsn: str, settings: dict[str, str], max_size: int) -> None:
        self._dsn = dsn
        self._settings = settings
        self._idle: list[Connection] = []
        # Held on to here, a connection is never garbage itself: the collector would cut asyncpg's weak reference to it,
        # although whoever is abandoned with it gives it back at its end.
        self._lent: set[Connection] = set()
        self._slots = asyncio.Semaphore(max_size)
        self._closed = False

    def connection(self) -> Loan:
        """A connection for the length of an ``async with`` block.

        Waits for one without a limit; the caller sets it. Raises `StoreDown` when none can be made; what the block
        raises passes unchanged.
        """
        return Loan(self)

    async def open(self) -> Connection:
        """A connection that the pool does not count, for the caller to keep and close. Raises `StoreDown`."""
        if self._closed:
            raise StoreDown("the pool is closed")
        try:
            return await asyncpg.connect(
                self._dsn, server_settings=self._settings, statement_cache_size=_STATEMENTS, timeout=10
            )
        except ERRORS as error:
            raise StoreDown(f"PostgreSQL cannot be reached: {type(error).__name__}") from error

    async def fill(self, size: int) -> None:
        """Connect until ``size`` connections are idle. Raises `StoreDown`."""
        while len(self._idle) < size:
            self._idle.append(await self.open())

    async def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            await _end(self._idle.pop())

    async def _take(self) -> Connection:
        while self._idle:
            conn = self._idle.pop()
            if not conn.is_closed():
                break
        else:
            conn = await self.open()
        self._lent.add(conn)
        return conn

    async def _give_back(self, conn: Connection, *, broken: bool) -> None:
        self._lent.discard(conn)
        if broken or self._closed or conn.is_closed():
            conn.terminate()
            return
        if conn.is_in_transaction() and not await _rolled_back(conn):
            conn.terminate()
            return
        self._idle.append(conn)


class Loan:
    """A connection that is given back at the end of its block. A class, for a generator would cost more than a query's
    parsing."""

    __slots__ = ("_conn", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> Connection:
        await self._pool._slots.acquire()
        try:
            self._conn = await self._pool._take()
        except BaseException:
            self._pool._slots.release()
            raise
        return self._conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broken = error is not None and (not isinstance(error, Exception) or is_lost(error))
        try:
            await self._pool._give_back(self._conn, broken=broken)
        finally:
            self._pool._slots.release()


async def create_pool(dsn: str, *, min_size: int, max_size: int, role: str, asynchronous_commit: bool) -> Pool:
    """A pool with ``min_size`` connections made already.

    Args:
        role: shown as ``application_name`` ``shadow/<role>``, so that an operator can tell Shadow's connections.
        asynchronous_commit: commits do not wait for the disk; a crash of the server may lose the last ones.

    Raises `StoreDown`.
    """
    pool = Pool(dsn, _settings(role, asynchronous_commit), max_size)
    await pool.fill(min_size)
    return pool


def _settings(role: str, asynchronous_commit: bool) -> dict[str, str]:
    return {
        "application_name": f"shadow/{role}",
        "synchronous_commit": "off" if asynchronous_commit else "on",
        "timezone": "UTC",
        "jit": "off",  # compiling a plan costs more than any statement here runs
        "client_connection_check_interval": "1000",  # a statement whose client is gone ends by itself
    }


async def _rolled_back(conn: Connection) -> bool:
    try:
        await conn.execute("ROLLBACK")
    except Exception:
        return False
    return True


async def _end(conn: Any) -> None:
    try:
        await conn.close(timeout=2)
    except ERRORS:
        conn.terminate()
