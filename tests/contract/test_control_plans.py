"""What marks cost does not depend on how many others are open: each look-up is by index, in old sessions too.

A long session plans its statements once, perhaps while there was hardly a mark. Then a store is away for an hour, and
there are hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from shadow_adapters.contract import MarkId, NewMark
from shadow_adapters.postgres.control import PostgresControl, schema_statements
from shadow_adapters.postgres.control.session import PostgresSession
from tests.contract.control_backends import ENTITY, SmallTable

BACKLOG = 20_000
READ = """SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
            WHERE oid = 'shadow.mark'::regclass
               OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'shadow.mark'::regclass)"""
"""Tuples of marks, and of their indexes, that the transaction has read."""


@pytest.fixture
async def admin(postgres_dsn: str) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(postgres_dsn)
    for statement in (*schema_statements(), SmallTable.ddl):
        await conn.execute(statement)
    await conn.execute("ALTER TABLE shadow.mark SET (autovacuum_enabled = off)")
    await conn.execute("INSERT INTO shadow.entity (entity, phase) VALUES ($1, 'dual_write')", ENTITY)
    yield conn
    await conn.close()


async def _backlog(admin: Any, me: UUID) -> None:
    """Open marks of other keys, which this process will not get rid of for a while, and some that are closed."""
    await admin.execute(
        "INSERT INTO shadow.mark (owner, seq, entity, key, opened_at, closed_at) "
        "SELECT $1, 1000000 + i, $2, convert_to('k' || i, 'UTF8'), clock_timestamp() - interval '1 minute', "
        "CASE WHEN i % 4 = 0 THEN clock_timestamp() - interval '30 seconds' END FROM generate_series(1, $3) AS i",
        me,
        ENTITY,
        BACKLOG,
    )


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_sync_and_a_read_look_at_their_own_marks_only(postgres_dsn: str, admin: Any, analyzed: bool) -> None:
    me, seq = uuid4(), 0
    control = PostgresControl(postgres_dsn, me, {ENTITY: SmallTable()}, settle_seconds=60.0)

    async def synced() -> int:
        """How many tuples of marks and their indexes a mark's whole life and a read of its key read."""
        nonlocal seq
        seq += 1
        key = b"mine%d" % seq
        await control.mark(me, [NewMark(seq, ENTITY, key)])
        session = await control.session()
        assert isinstance(session, PostgresSession)
        async with session._conn.transaction():
            before: int = await session._conn.fetchval(READ)
            assert not await session._conn.fetchval("SELECT shadow.readable($1, 1, $2, 0)", ENTITY, key)
            assert await session._conn.fetchval("SELECT shadow.readable($1, 1, $2, 3600)", ENTITY, None)
            captured = await session.capture(ENTITY, 1, {key: [seq]})
            assert captured is not None
            assert captured.closable == {key: (MarkId(me, seq),)}
            assert await session.put(ENTITY, 1, {key: b"state"}, captured.closable[key])
            after: int = await session._conn.fetchval(READ)
        await session.release()
        return after - before

    few = [await synced() for _ in range(12)]  # the plans are made here
    await _backlog(admin, me)
    if analyzed:
        await admin.execute("ANALYZE shadow.mark")
    assert max([await synced() for _ in range(12)]) <= max(few) + 200
    await control.disconnect()
