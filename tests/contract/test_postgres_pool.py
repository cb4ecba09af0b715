"""The pool: a release costs no round trip, and no connection comes back dirty. Cursors hold one batch."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

from shadow_adapters.contract import Fence
from shadow_adapters.failures import NotReadable, OutcomeUnknown, StoreDown
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.pool import Connection, Loan, create_pool
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, NAMESPACE, new_layout, open_store

ACTIVITY = """
SELECT query FROM pg_stat_activity WHERE pid = $1
"""


async def test_a_release_sends_nothing(postgres_dsn: str) -> None:
    pool = await create_pool(postgres_dsn, min_size=2, max_size=2, role="test", asynchronous_commit=True)
    async with pool.connection() as watcher:
        async with pool.connection() as conn:
            pid = conn.get_server_pid()
            await conn.fetch("SELECT 1 AS last_thing_said")
        assert "last_thing_said" in await watcher.fetchval(ACTIVITY, pid)
        async with pool.connection() as again:
            assert again.get_server_pid() == pid
            settings = await again.fetchrow(
                "SELECT current_setting('application_name'), current_setting('synchronous_commit'), "
                "current_setting('timezone')"
            )
            assert settings is not None and tuple(settings) == ("shadow/test", "off", "UTC")
    await pool.close()


async def test_an_open_transaction_is_rolled_back(postgres_dsn: str) -> None:
    pool = await create_pool(postgres_dsn, min_size=1, max_size=1, role="test", asynchronous_commit=False)
    async with pool.connection() as conn:
        await conn.execute("CREATE TABLE t (a int)")
        await conn.execute("BEGIN")
        await conn.execute("INSERT INTO t VALUES (1)")
    async with pool.connection() as conn:
        assert not conn.is_in_transaction()
        assert await conn.fetchval("SELECT count(*) FROM t") == 0
    await pool.close()


async def test_a_cancelled_query_does_not_poison_the_pool(postgres_dsn: str) -> None:
    pool = await create_pool(postgres_dsn, min_size=1, max_size=1, role="test", asynchronous_commit=False)

    async def sleeper() -> None:
        async with pool.connection() as conn:
            await conn.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT 1") == 1
    await pool.close()


async def test_a_server_that_is_not_there_is_down() -> None:
    dsn = "postgresql://nobody:hidden@127.0.0.1:1/none"
    with pytest.raises(StoreDown) as raised:
        await create_pool(dsn, min_size=1, max_size=1, role="test", asynchronous_commit=False)
    assert "hidden" not in str(raised.value)
    pool = await create_pool(dsn, min_size=0, max_size=1, role="test", asynchronous_commit=False)
    with pytest.raises(StoreDown):
        async with pool.connection():
            pass


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_connection(kind: str, postgres_dsn: str) -> None:
    """A read says that the store is down; a write, that nobody knows; the pool goes on with a new connection."""
    async with open_store(postgres_dsn, kind) as store:
        await store.insert({"_id": "a"})
        commands: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"find": ENTITY, "filter": {"_id": "a"}}, StoreDown),
            ({"count": ENTITY, "query": {"name": "x"}}, StoreDown),
            ({"insert": ENTITY, "documents": [{"_id": "b"}]}, OutcomeUnknown),
            ({"update": ENTITY, "updates": [{"q": {"_id": "a"}, "u": {"$set": {"x": 1}}}]}, OutcomeUnknown),
            ({"delete": ENTITY, "deletes": [{"q": {"_id": "a"}, "limit": 1}]}, OutcomeUnknown),
        ]
        for command, error in commands:
            with pytest.raises(error):
                async with store.pool.connection() as conn:
                    await store.conn.execute("SELECT pg_terminate_backend($1)", conn.get_server_pid())
                    await asyncio.sleep(0.05)
                    await store.engine.execute(conn, command, fence=FENCE)
        async with store.pool.connection() as conn:
            reply = await store.engine.execute(conn, {"count": ENTITY, "query": {}}, fence=FENCE)
            assert reply["n"] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cursor_gives_everything_once_and_ends(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*({"_id": f"{i:04}", "level": i % 10} for i in range(950)))
        for command, expected in (
            ({"find": ENTITY, "filter": {}, "sort": {"_id": -1}}, [f"{i:04}" for i in reversed(range(950))]),
            ({"find": ENTITY, "filter": {"level": 3}, "skip": 90}, 5),
            ({"find": ENTITY, "filter": {"level": 3}, "skip": 10, "limit": 70}, 70),
            ({"find": ENTITY, "filter": {"level": {"$ne": 3}}, "sort": {"level": 1, "_id": 1}, "limit": 3}, 3),
        ):
            cursor = await store.engine.open(store.conn, command, FENCE)
            found = []
            while batch := await cursor.batch():
                found += [document["_id"] for document in batch]
            assert await cursor.batch() == []
            await cursor.close()
            assert found == expected if isinstance(expected, list) else len(set(found)) == len(found) == expected
            assert not store.conn.is_in_transaction()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cursor_can_be_left(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*({"_id": f"{i:04}"} for i in range(950)))
        cursor = await store.engine.open(store.conn, {"find": ENTITY, "filter": {}}, FENCE)
        assert len(await cursor.batch()) == 200
        assert store.conn.is_in_transaction()
        await cursor.close()
        assert not store.conn.is_in_transaction()
        stale = await store.engine.open(store.conn, {"find": ENTITY, "filter": {}}, Fence(ENTITY, 9))
        with pytest.raises(NotReadable):
            await stale.batch()
        await stale.close()
        assert not store.conn.is_in_transaction()


async def test_a_cursors_memory_does_not_grow_with_the_result(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "documents") as store:
        for i in range(20):
            await store.insert(*({"_id": i * 100 + j, "x": "x" * 10_000} for j in range(100)))
        cursor = await store.engine.open(store.conn, {"find": ENTITY, "filter": {"x": {"$regex": "^x"}}}, FENCE)
        await cursor.batch()
        tracemalloc.start()
        total = 0
        while batch := await cursor.batch():
            total += len(batch)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await cursor.close()
        assert total == 1800
        assert peak < 12_000_000  # 20 MB came through, 2 MB at a time


async def test_an_engine_of_a_table_that_is_not_there_is_down(postgres_dsn: str) -> None:
    pool = await create_pool(postgres_dsn, min_size=1, max_size=1, role="test", asynchronous_commit=False)
    for kind in KINDS:
        engine = Engine(ENTITY, NAMESPACE, new_layout(kind))
        with pytest.raises(StoreDown, match="things"):
            async with pool.connection() as conn:
                await engine.execute(conn, {"find": ENTITY, "filter": {}})
    await pool.close()


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_a_connection_that_garbage_gives_back_is_lent_again(postgres_dsn: str) -> None:
    """An abandoned cursor in a cycle of references gives its connection back at its end.

    Were the connection garbage too, asyncpg would end it with a warning; and where warnings are errors, leave it in
    the pool as if it were sound, but cut off from its protocol.
    """
    pool = await create_pool(postgres_dsn, min_size=1, max_size=1, role="test", asynchronous_commit=False)
    given_back: list[asyncio.Task[None]] = []

    class Cursor:
        def __init__(self, loan: Loan, conn: Connection) -> None:
            self.loan, self.conn, self.itself = loan, conn, self

        def __del__(self) -> None:
            given_back.append(asyncio.get_running_loop().create_task(self.loan.__aexit__(None, None, None)))

    async def abandon() -> int:
        loan = pool.connection()
        conn = await loan.__aenter__()
        Cursor(loan, conn)
        return conn.get_server_pid()

    pid = await abandon()
    gc.collect()
    await asyncio.gather(*given_back)
    assert given_back
    async with pool.connection() as conn:
        assert await conn.fetchval("SELECT pg_backend_pid()") == pid
    await pool.close()
