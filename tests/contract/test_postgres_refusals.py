"""Bad input: each gets an error that names the thing and the way out; nothing is lost, cut or dropped silently."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import EpochMoved, NotReadable, Refused
from shadow_adapters.postgres.errors import mapped
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


@pytest.fixture
async def table(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "table") as opened:
        yield opened


def update(id: Any, change: dict[str, Any]) -> dict[str, Any]:
    return {"update": ENTITY, "updates": [{"q": {"_id": id}, "u": change}]}


@pytest.mark.parametrize(
    ("fields", "kind", "named"),
    [
        ({"name": "secret" * 4}, "length", "value is too long"),
        ({"level": 4321}, "check", "level"),
        ({"agent": ObjectId()}, "foreign", "agent_id"),
    ],
)
async def test_what_the_table_refuses_reaches_the_caller(
    fields: dict[str, Any], kind: str, named: str, table: Store
) -> None:
    await table.insert({"_id": "a", "level": 1, "name": "n"})
    for reply in (
        await table.insert({"_id": "b", **fields}),
        await table.run(update("a", {"$set": fields})),
        await table.run(update("a", {"$set": {**fields, "inner.path": 1}})),
        await table.run(update("a", {**fields})),
    ):
        error = reply["writeErrors"][0]
        assert (error["code"], error["errInfo"]["kind"]) == (121, kind)
        assert named in error["errmsg"]
        assert "secret" not in str(error) and "4321" not in str(error)
    reply = await table.run({"findAndModify": ENTITY, "query": {"_id": "a"}, "update": {"$set": fields}})
    assert (reply["ok"], reply["code"]) == (0.0, 121)
    assert await table.find({}) == [{"_id": "a", "level": 1, "name": "n"}]


async def test_a_null_that_must_not_be_is_refused(table: Store) -> None:
    await table.conn.execute("ALTER TABLE app.things ALTER COLUMN name SET NOT NULL")
    for document in ({"_id": "a"}, {"_id": "a", "name": None}, {"_id": "a", "name": 5}):
        error = (await table.insert(document))["writeErrors"][0]
        assert (error["code"], error["errInfo"]["kind"]) == (121, "null")
        assert "things.name" in error["errmsg"]


async def test_a_unique_column_is_a_duplicate_key(table: Store) -> None:
    await table.insert({"_id": "a", "email": "x"}, {"_id": "b", "email": "y"})
    for reply in (
        await table.insert({"_id": "c", "email": "x"}),
        await table.run(update("b", {"$set": {"email": "x"}})),
        await table.run(update("b", {"email": "x"})),
    ):
        error = reply["writeErrors"][0]
        assert (error["code"], error["keyPattern"], error["keyValue"]) == (11000, {"email": 1}, {"email": "x"})


@pytest.mark.parametrize("kind", KINDS)
async def test_the_holder_of_a_unique_value_is_found(kind: str, postgres_dsn: str) -> None:
    """What a sync needs to put both records at once."""
    async with open_store(postgres_dsn, kind) as store:
        if kind == "documents":
            spec = {"key": {"email": 1}, "name": "e", "unique": True}
            await store.run({"createIndexes": ENTITY, "indexes": [spec]})
        await store.insert({"_id": "a", "email": "x"}, {"_id": "b", "email": "y"})
        holder, taker = keys.key_of("a"), keys.key_of("b")
        states = {holder: encode({"_id": "a", "email": "z"}), taker: encode({"_id": "b", "email": "x"})}
        with pytest.raises(asyncpg.UniqueViolationError) as raised:
            await _put(store, {taker: states[taker]})
        assert await store.layout.holders(store.conn, raised.value) == (holder,)
        await _put(store, states)
        assert [d["email"] for d in await store.find({}, sort={"_id": 1})] == ["z", "x"]
        assert await store.layout.holders(store.conn, ValueError()) == ()


async def _put(store: Store, states: dict[bytes, bytes]) -> None:
    await store.layout.prepare(store.conn)
    plan = store.layout.plan_put(states, 1)
    await store.conn.fetch(f"WITH fence AS (SELECT true AS ok), {plan.ctes} SELECT ok FROM fence", *plan.args)


async def test_the_error_of_a_statement_says_no_value(table: Store) -> None:
    await table.layout.prepare(table.conn)
    plan = table.layout.plan_put({b"\x3ca\x00": encode({"_id": "a", "name": "secret" * 4})}, 1)
    with pytest.raises(Exception) as raised:
        await table.conn.fetch(f"WITH fence AS (SELECT true AS ok), {plan.ctes} SELECT ok FROM fence", *plan.args)
    refused = table.layout.refusal(raised.value, {b"\x3ca\x00": b""})
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.key) == ("length", b"\x3ca\x00")
    assert "secret" not in refused.reason


async def test_text_with_nul_and_nan_survive(store: Store) -> None:
    document = {"_id": "a", "name": "a\0b", "ratio": float("inf"), "data": {"k\u0001": "\0", "n": float("nan")}}
    assert (await store.insert(document))["n"] == 1
    assert encode((await store.find({"name": "a\0b"}))[0]) == encode(document)
    assert encode((await store.find({"data.n": float("nan")}))[0]) == encode(document)
    assert await store.find({"name": "a"}) == []


async def test_an_id_with_nul(store: Store) -> None:
    reply = await store.insert({"_id": "a\0b"})
    if store.layout.id_type == "bytea":
        assert await store.find({"_id": "a\0b"}) == [{"_id": "a\0b"}]
    else:
        assert reply["writeErrors"][0]["code"] == 121
        assert "_id of type str" in reply["writeErrors"][0]["errmsg"]


async def test_an_id_that_mongodb_refuses(store: Store) -> None:
    reply = await store.insert({"_id": [1]})
    assert (reply["n"], reply["writeErrors"][0]["code"]) == (0, 2)
    assert "array" in reply["writeErrors"][0]["errmsg"]


async def test_documents_of_16_mb(store: Store) -> None:
    fits = {"_id": "a", "data": "x" * (16 * 1024 * 1024 - 100)}
    assert (await store.insert(fits)) == {"n": 1, "ok": 1.0}
    assert await store.find({"_id": "a"}) == [fits]
    error = (await store.insert({"_id": "b", "data": "x" * (16 * 1024 * 1024)}))["writeErrors"][0]
    assert error["code"] == 10334
    error = (await store.run(update("a", {"$set": {"more": "x" * 200}})))["writeErrors"][0]
    assert error["code"] == 10334
    assert await store.find({"_id": "a"}) == [fits]


async def test_100_levels(store: Store) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels):
            value = {"v": value}
        return value

    deepest = {"_id": "a", "data": nested(98)}
    assert (await store.insert(deepest))["n"] == 1
    assert await store.find({"_id": "a"}) == [deepest]
    assert (await store.insert({"_id": "b", "data": nested(101)}))["writeErrors"][0]["code"] == 15
    assert (await store.run(update("a", {"$set": {"data": nested(101)}})))["writeErrors"][0]["code"] == 15


async def test_an_id_too_long_for_an_index(store: Store) -> None:
    error = (await store.insert({"_id": "".join(chr(0x4E00 + i % 20000) for i in range(9000))}))["writeErrors"][0]
    assert (error["code"], error["errInfo"]["kind"]) == (121, "size")


async def test_a_moved_epoch_stops_every_command(store: Store) -> None:
    await store.insert({"_id": "a", "level": 1})
    stale = type(FENCE)(ENTITY, 7)
    writes: list[dict[str, Any]] = [
        {"insert": ENTITY, "documents": [{"_id": "b"}]},
        update("a", {"$set": {"level": 2}}),
        update("a", {"$inc": {"level": 2}}),
        update("nobody", {"$set": {"level": 2}}),
        {"update": ENTITY, "updates": [{"q": {"level": 1}, "u": {"$set": {"level": 3}}, "multi": True}]},
        {"delete": ENTITY, "deletes": [{"q": {"_id": "a"}, "limit": 1}]},
        {"delete": ENTITY, "deletes": [{"q": {"level": 1}, "limit": 1}]},
        {"findAndModify": ENTITY, "query": {"_id": "a"}, "remove": True},
        {"findAndModify": ENTITY, "query": {"_id": "nobody"}, "update": {"$set": {"level": 2}}, "upsert": True},
    ]
    for command in writes:
        with pytest.raises(EpochMoved):
            await store.run(command, fence=stale)
    for command in (
        {"find": ENTITY, "filter": {"_id": "a"}},
        {"find": ENTITY, "filter": {}},
        {"find": ENTITY, "filter": {"name": None}, "sort": {"level": 1}},
        {"count": ENTITY, "query": {}},
        {"count": ENTITY, "query": {"level": 1}},
    ):
        with pytest.raises(NotReadable):
            await store.run(command, fence=stale)
    assert await store.find({}) == [{"_id": "a", "level": 1}]


async def test_a_rehearsal_leaves_nothing(store: Store) -> None:
    await store.insert({"_id": "a", "level": 1})
    transaction = store.conn.transaction()
    await transaction.start()
    await store.insert({"_id": "b"}, {"_id": "a"}, {"_id": "c"})
    await store.run(update("a", {"$set": {"level": 2}}), update("a", {"$push": {"tags": "x"}}))
    assert len(await store.find({})) == 2
    await transaction.rollback()
    assert await store.find({}) == [{"_id": "a", "level": 1}]


async def test_now_is_what_the_caller_says(store: Store) -> None:
    await store.insert({"_id": "a", "meta": {"created": DatetimeMS(0)}})
    change = update("a", {"$currentDate": {"meta.created": True}})
    await store.engine.execute(store.conn, change, fence=FENCE, now=DatetimeMS(12345))
    assert await store.find({"_id": "a"}) == [{"_id": "a", "meta": {"created": DatetimeMS(12345)}}]


def test_other_errors_are_none_of_postgresqls() -> None:
    assert mapped(ValueError("x"), writing=True) is None
