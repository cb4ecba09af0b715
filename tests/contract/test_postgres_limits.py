"""``maxTimeMS`` where PostgreSQL answers: every command is held to it, with MongoDB's error and MongoDB's refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.failures import CommandFailure
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store

LIMIT = 150
"""Milliseconds; each command below would take until its lock is let go of."""
LONG = 5.0
EXCEEDED = {"ok": 0.0, "code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "operation exceeded time limit"}

READS: dict[str, dict[str, Any]] = {
    "find": {"find": ENTITY, "filter": {"level": {"$gt": 0}}},
    "find by id": {"find": ENTITY, "filter": {"_id": "a"}},
    "find in order": {"find": ENTITY, "filter": {}, "sort": {"name": 1}},
    "aggregate": {"aggregate": ENTITY, "pipeline": [{"$set": {"x": 1}}], "cursor": {}},
    "group": {"aggregate": ENTITY, "pipeline": [{"$group": {"_id": "$level"}}], "cursor": {}},
    "count documents": {"aggregate": ENTITY, "pipeline": [{"$count": "n"}], "cursor": {}},
    "count": {"count": ENTITY, "query": {}},
    "distinct": {"distinct": ENTITY, "key": "level"},
}
UPDATE = {"$set": {"level": 9}}
WRITES: dict[str, dict[str, Any]] = {
    "findAndModify": {"findAndModify": ENTITY, "query": {"_id": "a"}, "update": UPDATE},
    "findAndModify of any": {"findAndModify": ENTITY, "query": {"name": "x"}, "update": UPDATE},
    "findAndModify, removing": {"findAndModify": ENTITY, "query": {"_id": "a"}, "remove": True},
    "findAndModify, upserting": {"findAndModify": ENTITY, "query": {"_id": "new"}, "update": UPDATE, "upsert": True},
    "insert": {"insert": ENTITY, "documents": [{"_id": "new"}]},
    "update": {"update": ENTITY, "updates": [{"q": {"_id": "a"}, "u": UPDATE}]},
    "update many": {"update": ENTITY, "updates": [{"q": {}, "u": UPDATE, "multi": True}]},
    "delete": {"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]},
}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as made:
        await made.insert({"_id": "a", "name": "x", "level": 1}, {"_id": "b", "name": "y", "level": 2})
        yield made


@asynccontextmanager
async def held(store: Store) -> AsyncIterator[None]:
    """The collection is out of everybody's reach."""
    async with store.pool.connection() as other, other.transaction():
        await other.execute(f"LOCK TABLE {store.layout.table} IN ACCESS EXCLUSIVE MODE")
        yield


async def timed(store: Store, command: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    reply = await asyncio.wait_for(store.run({**command, "maxTimeMS": LIMIT}), 20)
    assert LIMIT / 1000 <= time.monotonic() - began < LONG
    return reply


@pytest.mark.parametrize("name", READS)
async def test_a_read_ends_when_its_time_is_up(store: Store, name: str) -> None:
    before = await store.run(READS[name])
    async with held(store):
        assert await timed(store, READS[name]) == EXCEEDED
    assert await store.run({**READS[name], "maxTimeMS": 60_000}) == before, "the connection is as good as before"


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_whose_time_is_up_has_changed_nothing(store: Store, name: str) -> None:
    before = await store.find({}, sort={"_id": 1})
    async with held(store):
        reply = await timed(store, WRITES[name])
    if reply["ok"]:
        assert [(error["code"], error["errmsg"]) for error in reply["writeErrors"]] == [(50, EXCEEDED["errmsg"])]
    else:
        assert reply == EXCEEDED
    assert await store.find({}, sort={"_id": 1}) == before
    assert await store.conn.fetchval("SHOW statement_timeout") == "0", "nobody else is held to it"
    assert (await store.run({**WRITES[name], "maxTimeMS": 60_000}))["ok"] == 1
    assert await store.find({}, sort={"_id": 1}) != before


async def test_inside_a_transaction_the_limit_is_a_commands_own(store: Store) -> None:
    update = WRITES["update"]
    async with store.conn.transaction():
        assert (await store.run({**update, "maxTimeMS": 60_000}))["nModified"] == 1
        assert await store.conn.fetchval("SHOW statement_timeout") == "0"
    transaction = store.conn.transaction()
    await transaction.start()
    async with held(store):
        reply = await timed(store, update)
        assert reply.get("code", 0) == 50 or reply["writeErrors"][0]["code"] == 50
    await transaction.rollback()
    assert await store.conn.fetchval("SHOW statement_timeout") == "0"


async def test_computing_ends_when_its_time_is_up(store: Store) -> None:
    await store.insert({"_id": "many", "n": list(range(300))})
    copies = {"$set": {"a": "$n", "b": "$n", "c": "$n"}}
    pipeline = [{"$match": {"_id": "many"}}, copies, {"$unwind": "$a"}, {"$unwind": "$b"}, {"$unwind": "$c"}]
    command = {"aggregate": ENTITY, "pipeline": [*pipeline, {"$count": "n"}], "cursor": {}}
    assert await timed(store, command) == EXCEEDED
    inside = [{"$facet": {"x": pipeline[1:]}}, {"$project": {"n": {"$size": "$x"}}}]
    assert await timed(store, {**command, "pipeline": [pipeline[0], *inside]}) == EXCEEDED


async def test_the_batches_of_a_cursor_share_the_time_and_the_callers_own_is_not_counted(store: Store) -> None:
    await store.insert(*({"_id": f"c{n:04}"} for n in range(500)))
    for command in ({"find": ENTITY, "filter": {}}, {"aggregate": ENTITY, "pipeline": [], "cursor": {}}):
        async with store.pool.connection() as conn:
            cursor = await store.engine.open(conn, {**command, "maxTimeMS": 1000}, FENCE)
            found = await cursor.batch()
            await asyncio.sleep(1.1)
            while batch := await cursor.batch():
                found += batch
            await cursor.close()
        assert len(found) == 502


async def test_a_batch_of_a_cursor_ends_when_the_time_is_up(store: Store) -> None:
    for command in ({"find": ENTITY, "filter": {}}, {"aggregate": ENTITY, "pipeline": [], "cursor": {}}):
        async with store.pool.connection() as conn, held(store):
            cursor = await store.engine.open(conn, {**command, "maxTimeMS": LIMIT}, FENCE)
            for _ in range(2):
                with pytest.raises(CommandFailure, match="operation exceeded time limit") as raised:
                    await asyncio.wait_for(cursor.batch(), 20)
                assert raised.value.code == 50
            await cursor.close()


@pytest.mark.parametrize("none", [0, 0.0, Int64(0), Decimal128("0"), None])
async def test_zero_is_no_limit(store: Store, none: Any) -> None:
    assert len(await store.find({}, maxTimeMS=none)) == 2


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ("1", "maxTimeMS must be a number"),
        (True, "maxTimeMS must be a number"),
        (-1, "-1 value for maxTimeMS is out of range [0, 2147483647]"),
        (1 << 31, "2147483648 value for maxTimeMS is out of range [0, 2147483647]"),
        (1.5, "maxTimeMS has non-integral value"),
    ],
)
@pytest.mark.parametrize("name", ["find", "aggregate", "count", "distinct", "findAndModify"])
async def test_a_bad_limit_is_refused(store: Store, name: str, bad: Any, text: str) -> None:
    reply = await store.run({**(READS | WRITES)[name], "maxTimeMS": bad})
    assert (reply["ok"], reply["code"], reply["errmsg"]) == (0, 2, text)
    if name in ("find", "aggregate"):
        with pytest.raises(CommandFailure, match="maxTimeMS"):
            await store.engine.open(store.conn, {**READS[name], "maxTimeMS": bad}, FENCE)
