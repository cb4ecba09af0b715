"""Indexes of the documents layout: exact, whoever writes and however; used by the queries that can."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import Refused, StoreError
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts.documents import IndexesChanged
from shadow_adapters.postgres.query import compile_query
from shadow_adapters.postgres.statements import select_ordered_sql, select_sql
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
    reply = await store.run(index("a", collation={"locale": "sv"}))
    assert (reply["code"], reply["unsupported"]) == (2, "collation locale sv")
    command = {"createIndexes": ENTITY, "indexes": [{"key": {"a": "2dsphere"}, "name": "t"}]}
    assert (await store.run(command))["unsupported"] == "index 2dsphere"
    for key, seconds in (({"a": 1, "b": 1}, 5), ({"_id": 1}, 5), ({"a": 1}, -1), ({"a": 1}, "5")):
        spec = {"key": key, "name": "ttl", "expireAfterSeconds": seconds}
        assert (await store.run({"createIndexes": ENTITY, "indexes": [spec]}))["code"] == 67


@pytest.mark.parametrize(("partial", "code"), [(5, 14), ({"a": {"$asdasd": 3}}, 2), ({"$and": 5}, 2)])
async def test_a_filter_of_an_index_that_is_none_is_refused(store: Store, partial: Any, code: int) -> None:
    assert (await store.run(index("a", partialFilterExpression=partial)))["code"] == code
    store.layout.forget()
    assert (await store.insert({"_id": 1}))["n"] == 1, "nothing of it is left that would end every later call"
    assert await store.find({}) == [{"_id": 1}]


async def test_a_partial_index_is_unique_among_its_documents(store: Store) -> None:
    await store.run(index("a", partialFilterExpression={"live": True}))
    await store.insert({"_id": 1, "a": 1, "live": True}, {"_id": 2, "a": 1}, {"_id": 3, "a": 1})
    assert (await store.insert({"_id": 4, "a": 1, "live": True}))["writeErrors"][0]["code"] == 11000
    assert (await store.run(set_(2, {"live": True})))["writeErrors"][0]["code"] == 11000
    await store.run(set_(1, {"live": False}))
    assert (await store.run(set_(2, {"live": True})))["nModified"] == 1


async def test_elements_of_one_array_are_indexed_together(store: Store) -> None:
    await store.run(index("a.b", "a.c"))
    both = [{"b": 1, "c": 2}, {"b": 3, "c": 4}]
    await store.insert({"_id": 1, "a": both}, {"_id": 2, "a": [{"b": 1, "c": 4}]})
    assert (await store.insert({"_id": 3, "a": {"b": 3, "c": 4}}))["writeErrors"][0]["code"] == 11000
    assert [d["_id"] for d in await store.find({"a.b": 1, "a.c": 4}, sort={"_id": 1})] == [1, 2]
    refused = await store.insert({"_id": 4, "a": {"b": [1], "c": [2]}})
    assert refused["writeErrors"][0]["code"] == 171


_FILLED = [{"_id": i, "a": i % 50, "b": [i, -i] if i % 7 == 0 else i, "c": "x" * (i % 3) * 600} for i in range(2000)]


@pytest.mark.parametrize(
    ("filter", "sort", "name"),
    [
        ({"a": 7}, None, "a_b"),
        ({"a": {"$in": [7, 8]}, "b": {"$gt": 3, "$lt": 99}}, None, "a_b"),
        ({"$and": [{"a": 7}, {"b": {"$lte": 500}}]}, {"b": -1}, "a_b"),
        ({"a": {"$gte": 49}}, {"a": 1, "b": 1}, "a_b"),
        ({"$or": [{"a": 1}, {"b": {"$lt": -1990}}]}, None, "a_b, b"),
        ({"c": "x" * 1200}, {"_id": 1}, "c"),
        ({"c": {"$gt": "x" * 1100}}, {"c": -1, "_id": -1}, "c"),
        ({}, {"b": -1, "_id": -1}, "b"),
    ],
    ids=str,
)
async def test_an_index_is_used_and_changes_no_answer(
    store: Store, filter: dict[str, Any], sort: dict[str, int] | None, name: str
) -> None:
    options = {"sort": sort} if sort else {}
    await store.insert(*_FILLED)
    found = await store.find(filter, **options)
    specs = [{"key": {"a": 1, "b": 1}, "name": "a_b"}, {"key": {"b": 1}, "name": "b"}, {"key": {"c": -1}, "name": "c"}]
    await store.run({"createIndexes": ENTITY, "indexes": specs})
    await store.conn.execute("ANALYZE")
    call = Call(store.conn, store.layout, "", None, DatetimeMS(0))
    await store.layout.prepare(store.conn)
    query = compile_query(call, Gate("true", (), StoreError), filter, sort=sort, limit=5)
    assert query.index == name
    again = await store.find(filter, **options)
    assert found
    assert sorted(found, key=lambda d: d["_id"]) == sorted(again, key=lambda d: d["_id"])
    if sort:
        assert [document["_id"] for document in again] == [document["_id"] for document in found]
        for limit in (1, 3, 500):
            assert (await store.find(filter, **options, limit=limit, skip=2)) == found[2 : limit + 2]


@pytest.mark.parametrize("sort", [None, {"a": 1}], ids=str)
async def test_a_short_answer_by_an_index_reads_few_rows(store: Store, sort: dict[str, int] | None) -> None:
    await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a"}]})
    await store.insert(*({"_id": i, "a": i, "more": "x" * 900} for i in range(5000)))
    await store.conn.execute("ANALYZE")
    call = Call(store.conn, store.layout, "", None, DatetimeMS(0))
    gate = Gate("true", (), StoreError)
    query = compile_query(call, gate, {"a": {"$gte": 4900}}, sort=sort, limit=5)
    sql = (
        select_sql(call, gate, query.condition)
        if query.fields is None
        else select_ordered_sql(call, gate, query.condition, query.fields, "5")
    )
    plan = " ".join(row[0] for row in await store.conn.fetch(f"EXPLAIN {sql}", *query.args.values))
    assert "Seq Scan" not in plan, plan


async def test_dropped_indexes_are_not_looked_into(store: Store) -> None:
    other = Store(Engine(ENTITY, NAMESPACE, new_layout("documents")), store.conn, store.pool)
    await store.run(index("a"))
    await store.insert({"_id": 1, "a": 1})
    assert await other.find({"a": 1}) == [{"_id": 1, "a": 1}]  # it knows the index now
    listed = await store.run({"listIndexes": ENTITY})
    assert [spec["name"] for spec in listed["cursor"]["firstBatch"]] == ["_id_", "i"]
    assert (await store.run({"dropIndexes": ENTITY, "index": "i"}))["nIndexesWas"] == 2
    assert await other.find({"a": 1}) == [{"_id": 1, "a": 1}]
    assert (await other.insert({"_id": 2, "a": 1}))["n"] == 1
    assert (await store.run({"dropIndexes": ENTITY, "index": "i"}))["code"] == 27
    assert (await store.run({"dropIndexes": ENTITY, "index": "_id_"}))["code"] == 72
    assert await store.conn.fetchval(f"SELECT count(*) FROM {store.layout.term_table}") == 0


async def test_a_cursor_by_a_dropped_index_is_told(store: Store) -> None:
    other = Store(Engine(ENTITY, NAMESPACE, new_layout("documents")), store.conn, store.pool)
    await store.run(index("a"))
    await other.find({"a": 1})
    await store.run({"dropIndexes": ENTITY, "index": "*"})
    cursor = await other.engine.open(store.conn, {"find": ENTITY, "filter": {"a": 1}})
    with pytest.raises(IndexesChanged):
        await cursor.batch()
    await cursor.close()


async def test_a_new_index_is_not_taken_for_one_that_is_gone(store: Store) -> None:
    other = Store(Engine(ENTITY, NAMESPACE, new_layout("documents")), store.conn, store.pool)
    await store.run(index("a"))
    await other.insert({"_id": 1, "a": 1, "b": 1})
    await store.run({"dropIndexes": ENTITY, "index": ["i"]})
    assert (await other.insert({"_id": 8, "a": 1, "b": 8}, {"_id": 9, "a": 1, "b": 9}))["n"] == 2
    await store.run(index("b"))
    assert (await other.insert({"_id": 2, "a": 1, "b": 2}))["n"] == 1
    assert (await other.insert({"_id": 3, "a": 3, "b": 1}))["writeErrors"][0]["keyPattern"] == {"b": 1}
    assert await other.find({"b": 2}) == [{"_id": 2, "a": 1, "b": 2}]


async def test_an_index_is_built_while_others_write(store: Store) -> None:
    await store.insert(*({"_id": n, "a": n, "b": [n, -n] if n % 3 else n} for n in range(3000)))
    writing = True

    async def write(first: int) -> int:
        engine = Engine(ENTITY, NAMESPACE, new_layout("documents"))
        writes = 0
        async with store.pool.connection() as conn:
            while writing:
                n = random.randrange(first, 3000, 3)
                change = {"$inc": {"a": 5000}} if writes % 2 else {"$set": {"b": [writes], "a": n + 10_000 * writes}}
                command = {"update": ENTITY, "updates": [{"q": {"_id": n}, "u": change}]}
                assert (await engine.execute(conn, command))["n"] == 1
                writes += 1
        return writes

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(first)) for first in range(3)]
        specs = [{"key": {"a": 1}, "name": "a"}, {"key": {"b": -1, "a": 1}, "name": "b"}]
        made = await store.run({"createIndexes": ENTITY, "indexes": specs})
        await asyncio.sleep(0.2)
        writing = False
    assert made.get("numIndexesAfter") == 3, made
    assert all(writer.result() > 5 for writer in writers)
    await _has_the_terms(store)


async def _has_the_terms(store: Store) -> None:
    """The terms are those of the documents, no more and no less."""
    await store.layout.prepare(store.conn)
    rows = await store.conn.fetch(f"SELECT k, doc FROM {store.layout.table}")
    wanted = {
        (ik, row["k"])
        for row in rows
        for index in store.layout.indexes
        for ik in index.terms(store.layout.document((row["doc"],)), row["k"])
    }
    found = {tuple(row) for row in await store.conn.fetch(f"SELECT ik, k FROM {store.layout.term_table}")}
    assert found == wanted


async def test_a_build_that_was_interrupted_goes_on(store: Store) -> None:
    await store.insert(*({"_id": n, "a": n} for n in range(2000)))
    command = {"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a"}]}
    building = asyncio.create_task(store.run(command))
    while not await _registered(store):  # noqa: ASYNC110
        await asyncio.sleep(0)
    building.cancel()
    await asyncio.wait([building])
    other = Store(Engine(ENTITY, NAMESPACE, new_layout("documents")), store.conn, store.pool)
    assert [spec["name"] for spec in (await other.run({"listIndexes": ENTITY}))["cursor"]["firstBatch"]] == ["_id_"]
    assert await other.find({"a": 1999}) == [{"_id": 1999, "a": 1999}]
    await other.insert({"_id": "new", "a": -1})
    assert (await other.run(command))["numIndexesAfter"] == 2
    await _has_the_terms(other)


async def _registered(store: Store) -> bool:
    async with store.pool.connection() as conn:
        return bool(await conn.fetchval(f"SELECT count(*) FROM {store.layout.index_table}"))


async def test_an_open_cursor_keeps_an_index_from_being_made_and_nobody_from_reading(store: Store) -> None:
    await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a"}]})
    await store.insert(*({"_id": n, "a": n} for n in range(1000)))
    async with store.pool.connection() as conn:
        cursor = await store.engine.open(conn, {"find": ENTITY, "filter": {}})
        await cursor.batch()
        again = await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a"}]})
        assert again["numIndexesAfter"] == 2
        refused = asyncio.create_task(store.run({"createIndexes": ENTITY, "indexes": [{"key": {"b": 1}, "name": "b"}]}))
        async with store.pool.connection() as another:
            longest = 0.0
            while not refused.done():
                began = asyncio.get_running_loop().time()
                assert (await store.engine.execute(another, {"find": ENTITY, "filter": {"a": 7}}))["ok"] == 1.0
                longest = max(longest, asyncio.get_running_loop().time() - began)
                await asyncio.sleep(0.01)
        assert (await refused)["code"] == 24
        await cursor.close()
    assert longest < 5
    assert (await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"b": 1}, "name": "b"}]}))["ok"] == 1.0


async def test_who_reads_while_an_index_is_registered_does_not_hide_it_from_its_maker(store: Store) -> None:
    """A reader of the same process learns the indexes anew just before the commit: it does not know this one yet."""
    await store.insert(*({"_id": n, "a": n} for n in range(10)))
    slow = f"{store.layout.table.rpartition('.')[0]}.slow"
    body = "BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END"
    await store.conn.execute(f"CREATE FUNCTION {slow}() RETURNS trigger LANGUAGE plpgsql AS '{body}'")
    await store.conn.execute(
        f"CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON {store.layout.index_table} DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION {slow}()"
    )
    making = asyncio.create_task(
        store.run({"createIndexes": ENTITY, "indexes": [{"key": {"a": 1}, "name": "a", "unique": True}]})
    )
    async with store.pool.connection() as conn:
        while not making.done():
            await store.layout.prepare(conn)  # as every call does first
            await asyncio.sleep(0.001)
    assert (await making)["numIndexesAfter"] == 2
    await _has_the_terms(store)
    assert (await store.insert({"_id": "again", "a": 3}))["writeErrors"][0]["code"] == 11000
