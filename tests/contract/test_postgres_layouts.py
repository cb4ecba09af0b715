"""Records by key on both layouts: put, read, scan, insert what is absent; and the byte keys that SQL computes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
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
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import EpochMoved, Refused, StoreDown
from shadow_adapters.postgres.control import outbox_statements
from shadow_adapters.postgres.layouts import layout_for
from tests.contract.postgres_stores import ENTITY, KINDS, Store, new_layout, open_store

EVERY_TYPE: dict[str, Any] = {
    "z": 1,
    "double": 1.5,
    "negative zero": -0.0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "string": "a\0b",
    "object": {"b": 1, "a": {"$x": 1, "": 2}},
    "array": [1, [2, {"d": DatetimeMS(3)}], None],
    "binary": b"\0\xff",
    "uuid": Binary(b"u" * 16, 4),
    "old uuid": Binary(b"u" * 16, 3),
    "user": Binary(b"", 128),
    "id": ObjectId(b"i" * 12),
    "true": True,
    "date": DatetimeMS(1_700_000_000_123),
    "far date": DatetimeMS(2**62),
    "null": None,
    "regex": Regex("^a", "ix"),
    "code": Code("f()"),
    "scope": Code("f()", {"b": 1, "a": 2}),
    "int": 5,
    "long": Int64(5),
    "longest": 2**63 - 1,
    "timestamp": Timestamp(1, 2),
    "decimal": Decimal128("1.00"),
    "decimal power": Decimal128("1E+2"),
    "decimal nan": Decimal128("NaN"),
    "min": MinKey(),
    "max": MaxKey(),
}
MAPPED: list[dict[str, Any]] = [
    {"name": "n", "level": 5, "big": Int64(2**40), "ratio": 0.1, "price": Decimal128("1.50"), "active": False},
    {"level": 5.0, "big": Int64(1), "ratio": 5, "price": 0.1, "name": None, "email": "a\0b"},
    {"meta": {"created": DatetimeMS(1), "x": 1}, "tags": ['a"\\', "", "{,}", "NULL"], "data": {"k": [1.0, None]}},
    {"meta": {}, "tags": [], "data": None},
    {"meta": [1], "tags": [1], "data": {"zz": 1, "a": 2}},
    {"data": {"date": DatetimeMS(1), "nan": float("nan"), "e": 1e308, "nul": "a\0"}, "ratio": float("nan")},
    {"price": Decimal128("-0"), "data": [Int64(1), 2**40, -0.0], "ratio": float("-inf")},
    {"x": 1, "name": "order", "a": 2},
]


def record(id: Any, fields: dict[str, Any]) -> tuple[Key, Record]:
    return keys.key_of(id), encode({"_id": id, **fields})


async def put(store: Store, states: dict[Key, Record | None], term: int = 1) -> bool:
    """What a sync session does with a plan."""
    await store.layout.prepare(store.conn)
    plan = store.layout.plan_put(states, 3)
    sql = f"WITH fence AS MATERIALIZED (SELECT shadow.enter($1, $2) AS ok), {plan.ctes} SELECT ok FROM fence"
    try:
        return bool(await store.conn.fetchval(sql, ENTITY, term, *plan.args))
    except asyncpg.PostgresError as error:
        raise store.layout.refusal(error, states) or error from None


@pytest.mark.parametrize("kind", KINDS)
async def test_every_type_survives(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        states = dict(record(f"m{number}", fields) for number, fields in enumerate([EVERY_TYPE, *MAPPED]))
        assert await put(store, dict(states))
        assert await store.layout.read(store.conn, list(states)) == states
        for key, expected in states.items():
            found = await store.find({"_id": keys.decode(key)})
            assert encode(found[0]) == expected


@pytest.mark.parametrize("kind", KINDS)
async def test_put_inserts_replaces_and_deletes_at_once(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        states: dict[Key, Record | None] = dict(record(id, {"level": 1}) for id in "abc")
        assert await put(store, states)
        changed = {**dict([record("a", {"level": 2}), record("d", {})]), keys.key_of("b"): None, keys.key_of("x"): None}
        assert await put(store, changed)
        left = await store.layout.read(store.conn, [*states, *changed])
        assert {keys.decode(key): decode(found) for key, found in left.items()} == {
            "a": {"_id": "a", "level": 2},
            "c": {"_id": "c", "level": 1},
            "d": {"_id": "d"},
        }


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_put_when_the_authority_has_moved(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        assert await put(store, dict([record("a", {})]))
        assert not await put(store, {keys.key_of("a"): None, **dict([record("b", {})])}, term=2)
        assert [keys.decode(key) for key, _ in await store.layout.scan(store.conn, None, 9)] == ["a"]
        with pytest.raises(EpochMoved):
            await store.layout.insert_absent(store.conn, ENTITY, 2, dict([record("b", {})]))


IDS: dict[str, list[Any]] = {
    "text": ["", "a", "ab", "b", "B", "é", "\U0001f600", "~"],
    "varchar(40)": ["", "a", "ab", "b", "B", "é"],
    "bigint": [0, -1, 1, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18, 2**62 + 1, 990],
    "integer": [0, -1, 1, 2**31 - 1, -(2**31)],
    "uuid": [
        ObjectId(b"b" * 12),
        ObjectId(b"\0" * 12),
        ObjectId(b"\xff" * 12),
        Binary(b"a" * 16, 4),
        Binary(b"z" * 16, 4),
    ],
}


@pytest.mark.parametrize("type", IDS)
async def test_keys_of_a_real_table(type: str, postgres_dsn: str) -> None:
    """A scan goes in the order of byte keys, and SQL computes the very bytes."""
    async with open_store(postgres_dsn, "table", id=type) as store:
        states = dict(record(id, {"level": 1}) for id in IDS[type])
        assert await put(store, dict(states))
        found: list[tuple[Key, Record]] = []
        while chunk := await store.layout.scan(store.conn, found[-1][0] if found else None, 2):
            found += chunk
        assert found == sorted(states.items())
        rows = await store.conn.fetch(f"SELECT {store.layout.key_sql('t')} FROM app.things AS t")
        assert {row[0] for row in rows} == set(states)


@pytest.mark.parametrize("type", IDS)
async def test_a_scan_goes_on_behind_keys_that_the_table_cannot_hold(type: str, postgres_dsn: str) -> None:
    numbers = [-(10**15), 0.5, 1e300, Decimal128("1E+100"), float("nan")]
    binaries = [Binary(b"b", 4), Binary(b"m" * 16, 4), Binary(b"m" * 16, 5)]
    positions = [None, *numbers, "", "aa", "a\0b", "zz", *binaries, ObjectId(b"m" * 12), True, DatetimeMS(0)]
    async with open_store(postgres_dsn, "table", id=type) as store:
        states = dict(record(id, {}) for id in IDS[type])
        assert await put(store, dict(states))
        for position in positions:
            after = keys.encode(position)
            found = [key for key, _ in await store.layout.scan(store.conn, after, 100)]
            assert found == sorted(key for key in states if key > after), position


@pytest.mark.parametrize("kind", KINDS)
async def test_insert_absent_leaves_what_is_there(kind: str, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await put(store, dict([record("a", {"level": 1})]))
        absent = dict(record(id, {"level": 2}) for id in "ab")
        assert await store.layout.insert_absent(store.conn, ENTITY, 1, absent) == {keys.key_of("a")}
        assert [d["level"] for d in await store.find({}, sort={"_id": 1})] == [1, 2]


async def test_insert_absent_tells_the_refused(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as store:
        records = dict([record("a", {"name": "x" * 21}), record("b", {"name": "x"}), record("c", {"level": 1000})])
        refused = {keys.key_of("a"), keys.key_of("c")}
        assert await store.layout.insert_absent(store.conn, ENTITY, 1, records) == refused
        assert [d["_id"] for d in await store.find({})] == ["b"]


async def test_an_id_that_the_column_cannot_hold_is_refused_by_name(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as store:
        key, broken = record(ObjectId(), {})
        await store.layout.prepare(store.conn)
        with pytest.raises(Refused, match="cannot hold an _id of type ObjectId") as raised:
            store.layout.plan_put({**dict([record("a", {})]), key: broken}, 1)
        assert (raised.value.kind, raised.value.key) == ("type", key)


async def test_numbers_that_are_equal_are_one_id(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table", id="bigint") as store:
        for id in (5, 5.0, Int64(5), Decimal128("5.0")):
            key, wanted = record(id, {"x": 1})
            assert await put(store, {key: wanted})
            assert await store.layout.read(store.conn, [keys.key_of(5)]) == {key: wanted}


async def test_references_are_embedded_and_conflicts_named(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table", id="uuid") as store:
        agent, id = ObjectId(), ObjectId()
        states = dict([record(id, {"agent": agent})])
        with pytest.raises(Refused) as raised:
            await put(store, dict(states))
        assert (raised.value.kind, raised.value.conflicts) == ("foreign", (keys.key_of(agent),))
        assert str(agent) not in raised.value.reason
        agents = layout_for("agents", layout="table", table="app.agents", id_column="id", columns={})
        for statement in agents.ddl():
            await store.conn.execute(statement)
        fresh = dict([record(agent, {})])
        await store.conn.execute("INSERT INTO shadow.entity (entity) VALUES ('agents')")
        assert await agents.insert_absent(store.conn, "agents", 1, fresh) == frozenset()
        assert await put(store, dict(states))
        row = await store.conn.fetchrow("SELECT t.agent_id = a.id FROM app.things t, app.agents a")
        assert row is not None and row[0]


async def test_sql_sees_the_columns_and_may_change_them(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as store:
        await put(store, dict([record("a", {"level": 5.0, "meta": {"created": DatetimeMS(0)}, "other": "kept"})]))
        row = await store.conn.fetchrow("SELECT level, created_at::text, _rest->>'other' FROM app.things")
        assert row is not None and tuple(row) == (5, "1970-01-01 00:00:00", "kept")
        await store.conn.execute("UPDATE app.things SET level = 6, name = 'n', created_at = NULL")
        assert await store.find({}) == [{"_id": "a", "name": "n", "level": 6, "other": "kept"}]
        await store.conn.execute("INSERT INTO app.things (id, created_at) VALUES ('b', '2020-01-01 00:00:00.123456')")
        assert await store.find({"meta.created": DatetimeMS(1577836800123)}) == [
            {"_id": "b", "meta": {"created": DatetimeMS(1577836800123)}}
        ]


async def test_check_names_what_is_wrong(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as store:
        conn = store.conn
        assert await store.layout.check(conn) == []
        await conn.execute("CREATE TABLE app.bare (id inet PRIMARY KEY, at point)")
        mapped = {"where": "at", "gone": "nothing"}
        problems = await layout_for("b", layout="table", table="app.bare", id_column="id", columns=mapped).check(conn)
        assert [word for word in ("inet", "point", "nothing", "_rest") if word in " ".join(problems)] == [
            "inet",
            "point",
            "nothing",
            "_rest",
        ]
        for kind in KINDS:
            missing = layout_for("m", layout=kind, table="app.missing", id_column="id", columns={})
            assert len(await missing.check(conn)) == 1
            with pytest.raises(StoreDown):
                await missing.read(conn, [keys.key_of("a")])


async def test_a_layout_that_is_not_prepared_says_so() -> None:
    with pytest.raises(RuntimeError, match="not been prepared"):
        new_layout("table").plan_put({}, 1)


async def test_uuids_of_sql_writers_come_out_as_uuids(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table", id="uuid") as store:
        uuid = UUID("00000000-0000-4000-8000-000000000001")
        await store.conn.execute("INSERT INTO app.things (id, created_at) VALUES ($1, NULL)", uuid)
        assert await store.find({}) == [{"_id": Binary(uuid.bytes, 4)}]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_write_is_marked_by_the_outbox(kind: str, postgres_dsn: str) -> None:
    """However the engine writes, in one statement or through a function, the trigger sees it under its key."""
    async with open_store(postgres_dsn, kind, id="uuid") as store:
        for statement in outbox_statements(ENTITY, store.layout):
            await store.conn.execute(statement)
        await store.conn.execute("UPDATE shadow.entity SET phase = 'write_new'")
        a, b = ObjectId(), ObjectId()
        await store.insert({"_id": a, "level": 1}, {"_id": b, "level": 1})
        for change in ({"$set": {"level": 2}}, {"$inc": {"level": 2}}):
            await store.run({"update": ENTITY, "updates": [{"q": {"_id": a}, "u": change}]})
        await store.run({"delete": ENTITY, "deletes": [{"q": {"_id": b}, "limit": 1}]})
        rows = await store.conn.fetch("SELECT key FROM shadow.mark ORDER BY seq")
        assert [row[0] for row in rows] == [keys.key_of(id) for id in (a, b, a, a, b)]
