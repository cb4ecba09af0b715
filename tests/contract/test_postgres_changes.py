"""Changing records: in one statement exactly as by reading first, and without losing what others write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.update import apply_update
from shadow_adapters.failures import StoreError
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.layouts.patch import CHANGED, UNCHANGED
from shadow_adapters.postgres.query import compile_query
from shadow_adapters.postgres.statements import patch
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store

TYPES: list[Any] = [
    1.5,
    "text é",
    "",
    {"x": {"y": []}},
    [1, "a", {"z": None}],
    b"\0\1",
    Binary(b"u" * 16, 4),
    Binary(b"old", 2),
    ObjectId(b"o" * 12),
    True,
    DatetimeMS(-5),
    None,
    7,
    Timestamp(3, 4),
    Int64(7),
    Decimal128("1.10"),
    MinKey(),
    MaxKey(),
    Code("f()"),
    Code("f()", {"s": 1}),
]
BASES: list[dict[str, Any]] = [
    {f"f{number}": value for number, value in enumerate(TYPES)},
    {"name": "n", "level": 3, "ratio": 0.5, "tags": ["a"], "data": {"k": 1}, "extra": 1, "meta": {"created": None}},
    {},
]
SETS: list[dict[str, Any]] = [
    {"f0": 2.5},
    {"f3": 1, "f0": {"deep": [1]}, "f17": "last"},
    {"f5": "text é", "new": 1},
    {"zz": 1, "b": 2, "10": 3, "9": 4, "é": 5},
    {"name": "other"},
    {"level": 4, "extra": 2},
    {"level": 4.0},
    {"level": Int64(3)},
    {"level": 3},
    {"level": None},
    {"level": 3, "extra": 1},
    {"tags": [], "data": {"k": 1.0}},
    {"data": {"k": 1, "a": 1}},
    {"meta": 5},
    {"extra": {"b": 1, "a": 2}},
    {"ratio": -0.0},
]


def call_of(store: Store) -> Call:
    return Call(store.conn, store.layout, "", FENCE, DatetimeMS(0))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_patch_is_what_the_update_would_be(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.layout.prepare(store.conn)
        patched = 0
        for number, base in enumerate(BASES):
            for change in SETS:
                before = {"_id": "a", **base}
                await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
                await store.insert(before)
                command = {"update": ENTITY, "updates": [{"q": {"_id": "a"}, "u": {"$set": change}}]}
                outcome = await patch(call_of(store), store.layout.id_of(keys.key_of("a")), _sorted(change))
                after = apply_update(decode(encode(before)), {"$set": change}, inserting=False, now=DatetimeMS(0))
                if outcome in (CHANGED, UNCHANGED):
                    patched += 1
                    assert (outcome == CHANGED) == (encode(after) != encode(before)), (number, change)
                    await _is_stored(store, after)
                    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
                    await store.insert(before)
                reply = await store.run(command)
                assert reply == {"n": 1, "nModified": int(encode(after) != encode(before)), "ok": 1.0}
                await _is_stored(store, after)
        assert patched > (len(BASES) * len(SETS) - 3 if kind == "documents" else 5)


def _sorted(change: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(change.items(), key=lambda item: (int(item[0]) if item[0].isdecimal() else 99, item[0])))


async def _is_stored(store: Store, document: dict[str, Any]) -> None:
    """The record is right, and so is what filters are answered by."""
    assert encode((await store.find({"_id": "a"}))[0]) == encode(document)
    for path, value in document.items():
        if not isinstance(value, dict | list) and value is not None:
            query = compile_query(Call(store.conn, store.layout, "", None, DatetimeMS(0)), OPEN_GATE, {path: value})
            sql = f"SELECT count(*) FROM {store.layout.table} AS t WHERE {query.condition.sql}"
            assert await store.conn.fetchval(sql, *query.args.values) == 1, path


OPEN_GATE = Gate("true", (), StoreError)


async def test_a_type_that_a_patch_does_not_know_is_read_first(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "documents") as store:
        await store.layout.prepare(store.conn)
        document = {"_id": "a", "odd": Regex("a", "i"), "b": 1}
        await store.insert(document)
        assert await patch(call_of(store), keys.key_of("a"), {"b": 2}) is None
        reply = await store.run({"update": ENTITY, "updates": [{"q": {"_id": "a"}, "u": {"$set": {"b": 2}}}]})
        assert reply["nModified"] == 1
        assert encode((await store.find({}))[0]) == encode({**document, "b": 2})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "command",
    [
        {"update": ENTITY, "updates": [{"q": {"_id": "a"}, "u": {"$inc": {"level": 1}}}]},
        {"update": ENTITY, "updates": [{"q": {"name": "n"}, "u": {"$inc": {"level": 1}}}]},
        {"update": ENTITY, "updates": [{"q": {"name": "n"}, "u": {"$inc": {"level": 1}}, "multi": True}]},
        {"findAndModify": ENTITY, "query": {"name": "n"}, "sort": {"level": 1}, "update": {"$inc": {"level": 1}}},
    ],
    ids=["by id", "by filter", "many", "findAndModify"],
)
async def test_no_increment_is_lost(command: dict[str, Any], kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert({"_id": "a", "name": "n", "level": 0}, {"_id": "b", "name": "other"})

        async def writer() -> None:
            async with store.pool.connection() as conn:
                for _ in range(15):
                    reply = await store.engine.execute(conn, dict(command), fence=FENCE)
                    assert "writeErrors" not in reply and reply["ok"] == 1.0, reply

        await asyncio.gather(*(writer() for _ in range(6)))
        assert await store.find({"_id": "a"}) == [{"_id": "a", "name": "n", "level": 90}]


@pytest.mark.parametrize("kind", KINDS)
async def test_no_patch_undoes_another(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert({"_id": "a", "data": {"k": 1}})

        async def writer(number: int) -> None:
            async with store.pool.connection() as conn:
                for count in range(15):
                    statement = {"q": {"_id": "a"}, "u": {"$set": {f"extra{number}": count, "data": count}}}
                    command = {"update": ENTITY, "updates": [statement]}
                    assert (await store.engine.execute(conn, command, fence=FENCE))["n"] == 1

        await asyncio.gather(*(writer(number) for number in range(6)))
        assert await store.find({"data": 14, "data.k": None, "extra0": 14}) == [
            {"_id": "a", "data": 14} | {f"extra{number}": 14 for number in range(6)}
        ]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_record_is_taken_once(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*({"_id": f"{i:02}", "name": "free"} for i in range(40)))
        taken: list[str] = []

        async def taker() -> None:
            async with store.pool.connection() as conn:
                command = {"findAndModify": ENTITY, "query": {"name": "free"}, "update": {"$set": {"name": "taken"}}}
                while (reply := await store.engine.execute(conn, dict(command)))["value"] is not None:
                    taken.append(reply["value"]["_id"])

        await asyncio.gather(*(taker() for _ in range(5)))
        assert sorted(taken) == [f"{i:02}" for i in range(40)]


@pytest.mark.parametrize("kind", KINDS)
async def test_upserts_of_one_key_make_one_record(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        change = {"q": {"_id": "a"}, "u": {"$inc": {"level": 1}}, "upsert": True}

        async def writer() -> int:
            async with store.pool.connection() as conn:
                reply = await store.engine.execute(conn, {"update": ENTITY, "updates": [change]})
                return len(reply.get("upserted", ()))

        assert sum(await asyncio.gather(*(writer() for _ in range(6)))) == 1
        assert await store.find({}) == [{"_id": "a", "level": 6}]


@pytest.mark.parametrize("kind", KINDS)
async def test_writers_of_many_records_in_any_order_all_succeed(kind: str, postgres_dsn: str) -> None:
    """They lock each other's rows; what PostgreSQL ends as a deadlock is tried again."""
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*({"_id": f"{i:03}", "level": 0, "big": -i} for i in range(300)))

        async def writer(filter: dict[str, Any]) -> None:
            async with store.pool.connection() as conn:
                for _ in range(3):
                    change = {"q": filter, "u": {"$inc": {"level": 1}}, "multi": True}
                    reply = await store.engine.execute(conn, {"update": ENTITY, "updates": [change]}, fence=FENCE)
                    assert reply == {"n": 300, "nModified": 300, "ok": 1.0}

        await asyncio.gather(*(writer({"level": {"$gte": 0}}) for _ in range(3)), writer({"big": {"$lte": 0}}))
        assert {document["level"] for document in await store.find({})} == {12}


@pytest.mark.parametrize("kind", KINDS)
async def test_many_are_changed_in_batches(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*({"_id": f"{i:04}", "level": i % 7} for i in range(1500)))
        change = {"q": {"level": {"$lt": 5}}, "u": {"$set": {"x": 1}, "$inc": {"level": 100}}, "multi": True}
        reply = await store.run({"update": ENTITY, "updates": [change]})
        expected = sum(i % 7 < 5 for i in range(1500))
        assert reply == {"n": expected, "nModified": expected, "ok": 1.0}
        assert len(await store.find({"x": 1, "level": {"$gte": 100}})) == expected
        reply = await store.run({"delete": ENTITY, "deletes": [{"q": {"x": 1}, "limit": 0}]})
        assert reply == {"n": expected, "ok": 1.0}
