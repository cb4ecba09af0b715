"""How long a command may work: ``maxTimeMS``, held as MongoDB holds it.

A read is ended by its own clock. A write is ended by PostgreSQL itself (``statement_timeout``), whose word then is that
nothing was applied; ending it from here would leave that unknown.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, Final

import asyncpg
from bson.decimal128 import Decimal128

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.pool import Connection

_LARGEST: Final = (1 << 31) - 1
CANCELLED: Final = "57014"
"""SQLSTATE of a statement that took longer than ``statement_timeout``."""


class TimeLimit:
    """What is left of a command's time. A cursor's batches share it, and only work counts, as with MongoDB.

    Args:
        seconds: all of it.
    """

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._end = math.inf

    def check(self) -> None:
        """For work that never waits. Raises `CommandFailure` 50 once the time is up."""
        if time.monotonic() > self._end:
            raise exceeded()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """A part of the work. Raises `CommandFailure` 50 where it takes longer than what is left."""
        if self._left <= 0:
            raise exceeded()
        began = time.monotonic()
        self._end = began + self._left
        try:
            async with asyncio.timeout(self._left) as scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise exceeded() from None
        finally:
            self._left -= time.monotonic() - began
            self._end = math.inf

    @asynccontextmanager
    async def writing(self, conn: Connection) -> AsyncIterator[None]:
        """The whole work of a write, each statement of which PostgreSQL ends where it takes longer."""
        self._end = time.monotonic() + self._left
        setting = "SET LOCAL statement_timeout" if conn.is_in_transaction() else "SET statement_timeout"
        await conn.execute(f"{setting} = {max(1, round(self._left * 1000))}")
        try:
            yield
        except BaseException as error:
            if isinstance(error, Exception):  # a connection whose statement was cancelled is not used again
                await _lift(conn, setting)
            raise
        await _lift(conn, setting)


async def _lift(conn: Connection, setting: str) -> None:
    with suppress(asyncpg.InFailedSQLTransactionError):  # it ends with the transaction
        if not conn.is_closed():
            await conn.execute(f"{setting} TO DEFAULT")


class TimedCursor:
    """A cursor (`shadow.ops.base.Cursor`) whose batches must be there in time."""

    def __init__(self, cursor: Any, limit: TimeLimit) -> None:
        self._cursor = cursor
        self._limit = limit

    async def batch(self) -> list[dict[str, Any]]:
        """The next documents; an empty list at the end. Raises `CommandFailure` 50, and what the cursor raises."""
        async with self._limit.reading():
            documents: list[dict[str, Any]] = await self._cursor.batch()
            return documents

    async def close(self) -> None:
        """End the cursor."""
        await self._cursor.close()


def exceeded() -> CommandFailure:
    """MongoDB's answer where the time is up."""
    return CommandFailure(50, "operation exceeded time limit")


def time_limit(command: Mapping[str, Any]) -> TimeLimit | None:
    """A command's ``maxTimeMS``; None where there is none (0 says so too).

    Raises `CommandFailure` 2, as MongoDB's ``parseMaxTimeMS``.
    """
    value = command.get("maxTimeMS")
    if value is None:
        return None
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise CommandFailure(2, "maxTimeMS must be a number")
    if not 0 <= value <= _LARGEST:
        raise CommandFailure(2, f"{value} value for maxTimeMS is out of range [0, {_LARGEST}]")
    if value != int(value):
        raise CommandFailure(2, "maxTimeMS has non-integral value")
    return TimeLimit(int(value) / 1000) if value else None
