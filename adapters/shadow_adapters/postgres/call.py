"""One call of a command: where it runs, under which terms, and the SQL that holds it to them.

A fence is checked by PostgreSQL in the statement that does the work. A read asks ``shadow.readable``, a write
``shadow.enter``; a write that only has to look at rows first asks ``shadow.enter`` as well, since "nothing matched" is
an answer that only the authority may give.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg
from bson.datetime_ms import DatetimeMS

from shadow_adapters.contract import Fence, Key
from shadow_adapters.failures import CommandFailure, EpochMoved, NotReadable, Refused, StoreError
from shadow_adapters.postgres.errors import ERRORS, mapped
from shadow_adapters.postgres.layouts.base import Layout
from shadow_adapters.postgres.layouts.documents import IndexesChanged
from shadow_adapters.postgres.layouts.terms import GONE
from shadow_adapters.postgres.limits import CANCELLED, TimeLimit, exceeded
from shadow_adapters.postgres.pool import Connection

WRITE_CONFLICT = 112
_CONFLICTS = ("40001", "40P01")


class Gate(NamedTuple):
    """A condition on the fleet's state, its parameters (the statement's first), and what it means when it is false."""

    sql: str
    args: Sequence[Any]
    error: type[StoreError]


OPEN = Gate("true", (), StoreError)
"""No fence."""


def read_gate(fence: Fence | None, key: Key | None) -> Gate:
    """The gate of a read under these terms, of one key or of many (None)."""
    if fence is None:
        return OPEN
    return Gate("shadow.readable($1, $2, $3, $4)", (fence.entity, fence.epoch, key, fence.stale_after), NotReadable)


class Neighbour(NamedTuple):
    """Another collection that a command may read, and the terms to hold PostgreSQL to."""

    layout: Layout
    fence: Fence | None


Neighbours = Callable[[str], Neighbour | None]
"""From a collection's name, in the command's own database, to the collection; None where new does not serve it."""


def no_neighbours(_collection: str) -> Neighbour | None:
    """No collection but the command's own."""
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """What every command needs beside its own fields.

    ``namespace`` is ``database.collection``, for error texts. ``limit``: its ``maxTimeMS``, which whoever made the call
    has begun to hold it to.
    """

    conn: Connection
    layout: Layout
    namespace: str
    fence: Fence | None
    now: DatetimeMS
    neighbours: Neighbours = no_neighbours
    limit: TimeLimit | None = None

    def read_gate(self, key: Key | None) -> Gate:
        """The gate of a read of one key, or of many (None)."""
        return read_gate(self.fence, key)

    def write_gate(self) -> Gate:
        """The gate of a write."""
        fence = self.fence
        if fence is None:
            return OPEN
        return Gate("shadow.enter($1, $2)", (fence.entity, fence.epoch), EpochMoved)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Inside a transaction: an error in the block undoes the block and not the transaction."""
        if not self.conn.is_in_transaction():
            yield
            return
        # Not asyncpg's own: that refuses to stand in a transaction which was not begun by it, as an application's is.
        await self.conn.execute("SAVEPOINT shadow")
        try:
            yield
        except BaseException:
            if not self.conn.is_closed():
                await self.conn.execute("ROLLBACK TO SAVEPOINT shadow; RELEASE SAVEPOINT shadow")
            raise
        await self.conn.execute("RELEASE SAVEPOINT shadow")

    async def fetch(self, gate: Gate, sql: str, args: Sequence[Any], *, writing: bool) -> list[asyncpg.Record]:
        """The rows of a statement whose first column is its gate's word; raises the gate's error when that is false.

        Raises `Refused`, with PostgreSQL's own error as its cause, where a written record is at fault; `StoreDown`,
        `OutcomeUnknown`; and `CommandFailure`: 112 where concurrent writers or a deadlock ended the statement, 50 where
        the command's time is up.
        """
        if self.limit is not None:
            self.limit.check()
        try:
            rows = await self.conn.fetch(sql, *args)
        except ERRORS as error:
            failure = self.failure(error, writing=writing)
            raise failure from (error if isinstance(failure, Refused) else None)
        if rows and not rows[0][0]:
            raise gate.error(self.layout.entity)
        return rows

    def failure(self, error: Exception, *, writing: bool) -> Exception:
        """What to raise for an error of a statement."""
        if isinstance(error, asyncpg.PostgresError) and error.sqlstate == GONE:
            self.layout.forget()
            return IndexesChanged(f"an index of entity {self.layout.entity} is gone; the next try knows it")
        if isinstance(error, asyncpg.PostgresError) and error.sqlstate in _CONFLICTS:
            labels = {"errorLabels": ["TransientTransactionError"]} if self.conn.is_in_transaction() else {}
            return CommandFailure(WRITE_CONFLICT, "Write conflict during plan execution: retry", details=labels)
        if self.limit is not None and isinstance(error, asyncpg.PostgresError) and error.sqlstate == CANCELLED:
            return exceeded()
        if isinstance(error, asyncpg.InFailedSQLTransactionError):
            return CommandFailure(251, "the transaction has been aborted by an earlier error")
        return (self.layout.refusal(error, {}) if writing else mapped(error, writing=False)) or error
