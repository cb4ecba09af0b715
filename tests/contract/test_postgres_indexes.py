"""Unique indexes of the documents layout: exact, whoever writes and however."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from bson.int64 import Int64

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import Refused
from shadow_adapters.postgres.engine import Engine
from tests.contract.postgres_stores import ENTITY, NAMESPACE, Store, new_layout, open_store


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


def index(*paths: str, name: str = "i", **options: Any) -> dict[str, Any]:
    key = dict.fromkeys(paths, 1)
    return {"createIndexes": ENTITY, "indexes": [{"key": key, "name": name, "unique": True, **options}]}


def set_(id: Any, fields: dict[str, Any]) -> dict[str, Any]:
    return {"update": ENTITY, "updates": [{"q": {"_id": id}, "u": {"$set": fields}}]}


async def test_a_duplicate_is_told_with_pattern_and_value(store: Store) -> None:
    await store.run(index("a", "b.c", name="a_1_b.c_1"))
    await store.insert({"_id": 1, "a": 5, "b": {"c": "x"}})
    for reply in (
        await store.insert({"_id": 2, "a": Int64(5), "b": {"c": "x"}}),
        await store.insert({"_id": 3, "a": 5.0, "b": [{"c": "y"}, {"c": "x"}]}),
    ):
        error = reply["writeErrors"][0]
        assert (error["code"], error["keyPattern"]) == (11000, {"a": 1, "b.c": 1})
        assert error["keyValue"] == {"a": 5, "b.c": "x"}
        assert "index: a_1_b.c_1 dup key: { a: 5" in error["errmsg"]


async def test_changes_move_the_terms(store: Store) -> None:
    await store.run(index("a"))
    await store.insert({"_id": 1, "a": "x"}, {"_id": 2, "a": "y"})
    assert (await store.run(set_(2, {"a": "x"})))["writeErrors"][0]["code"] == 11000
    assert (await store.run(set_(1, {"a": "z"})))["nModified"] == 1
    assert (await store.run(set_(2, {"a": "x"})))["nModified"] == 1
    assert (await store.insert({"_id": 3, "a": "x"}))["writeErrors"][0]["keyValue"] == {"a": "x"}
    await store.run({"delete": ENTITY, "deletes": [{"q": {"_id": 2}, "limit": 1}]})
    assert (await store.insert({"_id": 3, "a": "x"}))["n"] == 1


async def test_missing_is_null_and_sparse_leaves_it_out(store: Store) -> None:
    await store.run(index("a"), index("s", name="s", sparse=True))
    await store.insert({"_id": 1})
    assert (await store.insert({"_id": 2, "a": None}))["writeErrors"][0]["keyValue"] == {"a": None}
    assert (await store.insert({"_id": 2, "a": 1}, {"_id": 3, "a": [2, 3, 3]}, {"_id": 4, "a": []}))["n"] == 3
    assert (await store.insert({"_id": 5, "a": 3}))["writeErrors"][0]["keyValue"] == {"a": 3}


async def test_long_values_are_unique_too(store: Store) -> None:
    await store.run(index("a"))
    assert (await store.insert({"_id": 1, "a": "x" * 5000 + "1"}, {"_id": 2, "a": "x" * 5000 + "2"}))["n"] == 2
    assert (await store.insert({"_id": 3, "a": "x" * 5000 + "1"}))["writeErrors"][0]["code"] == 11000


async def test_an_index_over_duplicates_is_refused_and_leaves_nothing(store: Store) -> None:
    await store.insert({"_id": 1, "a": 1}, {"_id": 2, "a": 1.0})
    reply = await store.run(index("a"))
    assert (reply["ok"], reply["code"], reply["keyValue"]) == (0.0, 11000, {"a": 1.0})
    assert (await store.insert({"_id": 3, "a": 1}))["n"] == 1


async def test_an_index_covers_what_was_there(store: Store) -> None:
    await store.insert(*({"_id": i, "a": i} for i in range(450)))
    reply = await store.run(index("a"))
    assert (reply["numIndexesBefore"], reply["numIndexesAfter"]) == (1, 2)
    assert (await store.run(index("a")))["numIndexesAfter"] == 2
    assert (await store.insert({"_id": "n", "a": 449}))["writeErrors"][0]["code"] == 11000
    assert (await store.run(index("b")))["code"] == 86


@pytest.mark.parametrize("write", ["insert", "patch", "update", "put", "absent"])
async def test_a_process_that_does_not_know_the_index_learns_it(write: str, store: Store) -> None:
    other = Store(Engine(ENTITY, NAMESPACE, new_layout("documents")), store.conn, store.pool)
    await other.insert({"_id": 1, "a": 1}, {"_id": 2, "a": 2})
    await store.run(index("a"))
    key, record = keys.key_of(2), encode({"_id": 2, "a": 1})
    if write == "insert":
        assert (await other.insert({"_id": 3, "a": 1}))["writeErrors"][0]["code"] == 11000
    elif write == "patch":
        assert (await other.run(set_(2, {"a": 1})))["writeErrors"][0]["code"] == 11000
    elif write == "update":
        change = {"update": ENTITY, "updates": [{"q": {"_id": 2}, "u": {"$inc": {"a": -1}}}]}
        assert (await other.run(change))["writeErrors"][0]["code"] == 11000
    elif write == "absent":
        fresh = {keys.key_of(4): encode({"_id": 4, "a": 1})}
        await _twice(lambda: other.layout.insert_absent(store.conn, ENTITY, 1, fresh))
    else:
        refused = await _twice(lambda: _put(other, {key: record}))
        assert isinstance(refused, Refused)
        assert (refused.kind, refused.key) == ("unique", key)
        assert "unique index i" in refused.reason
    assert sorted(document["a"] for document in await other.find({})) == [1, 2]


async def _twice(attempt: Any) -> Any:
    """A sync that finds out about an index fails once, and is tried again."""
    for _ in range(2):
        try:
            return await attempt()
        except Exception as error:
            last = error
    return last


async def _put(store: Store, states: dict[bytes, bytes | None]) -> None:
    await store.layout.prepare(store.conn)
    plan = store.layout.plan_put(states, 1)
    try:
        await store.conn.fetch(f"WITH fence AS (SELECT true AS ok), {plan.ctes} SELECT ok FROM fence", *plan.args)
    except asyncpg.PostgresError as error:
        raise store.layout.refusal(error, states) or error from None


async def test_values_change_hands_within_one_put(store: Store) -> None:
    await store.run(index("a"))
    await store.insert({"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 3})
    states: dict[bytes, bytes | None] = {
        keys.key_of(1): encode({"_id": 1, "a": 2}),
        keys.key_of(2): encode({"_id": 2, "a": 1}),
        keys.key_of(3): None,
        keys.key_of(4): encode({"_id": 4, "a": 3}),
    }
    await _put(store, states)
    assert [d["a"] for d in await store.find({}, sort={"_id": 1})] == [2, 1, 3]
    assert (await store.insert({"_id": 5, "a": 3}))["writeErrors"][0]["code"] == 11000


async def test_concurrent_writers_leave_one_holder(store: Store) -> None:
    await store.run(index("a"))

    async def one(number: int) -> int:
        async with store.pool.connection() as conn:
            reply = await store.engine.execute(conn, {"insert": ENTITY, "documents": [{"_id": number, "a": "x"}]})
            return int(reply["n"])

    assert sum(await asyncio.gather(*(one(number) for number in range(12)))) == 1


async def test_what_indexes_are_not_served_is_said(store: Store) -> None:
    reply = await store.run(index("a", partialFilterExpression={"b": 1}))
    assert (reply["code"], reply["unsupported"]) == (72, "createIndexes.indexes partialFilterExpression")
    command = {"createIndexes": ENTITY, "indexes": [{"key": {"a": "text"}, "name": "t"}]}
    assert (await store.run(command))["unsupported"] == "index text"


async def test_a_plain_index_is_used(store: Store) -> None:
    await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a_1"}]})
    await store.insert(*({"_id": i, "a": i} for i in range(2000)))
    await store.conn.execute(f"ANALYZE {store.layout.table}")
    sql = f"EXPLAIN SELECT * FROM {store.layout.table} AS t WHERE t.q @> '{{\"a\": [7]}}'::jsonb"
    plan = " ".join(row[0] for row in await store.conn.fetch(sql))
    assert "Bitmap Index Scan" in plan
    assert await store.find({"a": 7}) == [{"_id": 7, "a": 7}]
