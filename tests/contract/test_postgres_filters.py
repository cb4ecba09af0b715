"""What SQL selects is never less than what the exact matcher finds, whatever the filter and the documents."""

from __future__ import annotations

from typing import Any

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.order import sort_documents
from shadow_adapters.failures import StoreError
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.query import compile_query
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -0.0,
    1,
    1.0,
    Int64(1),
    Decimal128("1.00"),
    0.1,
    Decimal128("0.1"),
    0.5,
    Decimal128("0.5"),
    2.0**-30,
    Decimal128("9.31322574615478515625E-10"),
    1e23,
    Decimal128("99999999999999991611392"),
    2**53,
    2**53 + 1,
    2.0**53,
    2.0**60,
    2**60,
    2**63 - 1,
    2.0**63,
    1e308,
    Decimal128("1E+6000"),
    Decimal128("-1E+6000"),
    float("nan"),
    Decimal128("NaN"),
    float("inf"),
    float("-inf"),
    "",
    "a",
    "a\0b",
    "a\0c",
    "b",
    "é",
    "x" * 300,
    "x" * 299 + "y",
    "1",
    DatetimeMS(0),
    DatetimeMS(1),
    DatetimeMS(2**62),
    ObjectId(b"a" * 12),
    ObjectId(b"b" * 12),
    Binary(b"b" * 16, 4),
    Binary(b"b" * 16, 5),
    b"b",
    MinKey(),
    MaxKey(),
    {},
    {"k": 1},
    {"k": 1, "j": [1, "a"]},
    {"j": "a", "k": 1.0},
    {"k": None},
    [],
    [1, "a"],
    [[1]],
    [{"k": 1}, {"j": 2}],
    [None],
    [0.5, 7],
]
PATHS = ["name", "level", "big", "ratio", "price", "active", "tags", "data", "agent", "extra", "meta", "meta.created"]
ODD_PATHS = ["data.k", "data.j", "extra.k", "extra.k.x", "meta.other", "data.0", "extra.1.j", "name.x", "_id"]


def documents() -> list[dict[str, Any]]:
    """One document for each value at each path, as far as the table takes them."""
    found = []
    for path in PATHS:
        for number, value in enumerate(VALUES):
            outer, _, inner = path.partition(".")
            if path == "agent" and isinstance(value, ObjectId | Binary):
                continue
            if path == "name" and isinstance(value, str) and len(value) > 20:
                continue
            if path == "level" and not isinstance(value, str) and value in (2**53, 2.0**53):
                continue
            found.append({"_id": f"{path}-{number}", outer: {inner: value} if inner else value})
    return [decode(encode(document)) for document in found]


DOCUMENTS = documents()
INDEXES: list[dict[str, Any]] = [
    {"key": {"level": 1}},
    {"key": {"level": -1, "_id": 1}},
    {"key": {"name": -1, "level": 1}},
    {"key": {"meta.created": 1}},
    {"key": {"tags": 1, "active": -1}},
    {"key": {"active": -1, "big": 1}},
    {"key": {"data.k": -1, "data.j": 1}},
    {"key": {"data.0": 1}},
    {"key": {"extra": -1}, "sparse": True},
    {"key": {"ratio": 1}, "partialFilterExpression": {"ratio": {"$gt": 0}}},
    {"key": {"price": 1, "big": 1}, "partialFilterExpression": {"price": {"$exists": True}}},
]
STORES = [*((kind, False) for kind in KINDS), ("documents", True)]
"""Layouts, and whether there are indexes."""

operands = st.one_of(st.sampled_from(VALUES), st.integers(-3, 3), st.floats(-3, 3), st.text(max_size=2).map(str))
conditions = st.one_of(
    operands,
    st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), operands).map(lambda t: {t[0]: t[1]}),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(operands, max_size=3)).map(lambda t: {t[0]: t[1]}),
    st.booleans().map(lambda yes: {"$exists": yes}),
    st.tuples(operands, operands).map(lambda t: {"$gt": t[0], "$lte": t[1]}),
    st.tuples(operands).map(lambda t: {"$elemMatch": {"$gte": t[0]}}),
    st.tuples(operands).map(lambda t: {"$not": {"$gt": t[0]}}),
    st.sampled_from(["number", "int", "double", "string", "array", "object", "null", "date", 127]).map(
        lambda kind: {"$type": kind}
    ),
    st.tuples(st.integers(1, 3), st.integers(-1, 2)).map(lambda t: {"$mod": list(t)}),
    st.tuples(st.sampled_from(["$bitsAllSet", "$bitsAnyClear"]), st.integers(0, 7)).map(lambda t: {t[0]: t[1]}),
)
clauses = st.dictionaries(st.sampled_from(PATHS + ODD_PATHS), conditions, min_size=1, max_size=2)
filters = st.recursive(
    clauses,
    lambda inner: st.tuples(st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda t: {t[0]: t[1]}
    ),
    max_leaves=4,
)


def expected(filter: dict[str, Any]) -> list[str]:
    matcher = compile_filter(filter)
    return [document["_id"] for document in DOCUMENTS if matcher.matches(document)]


@pytest.mark.parametrize(("kind", "indexed"), STORES)
async def test_no_comparison_misses_a_document(kind: str, indexed: bool, postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, kind) as store:
        await _fill(store)
        await _index(store, indexed)
        for path in PATHS + ODD_PATHS:
            for operator in ("$eq", "$gt", "$gte", "$lt", "$lte"):
                for value in VALUES:
                    await _same(store, {path: {operator: value}})


@pytest.mark.parametrize(("kind", "indexed"), STORES)
async def test_no_filter_misses_a_document(kind: str, indexed: bool, postgres_dsn: str) -> None:
    seen: list[dict[str, Any]] = []

    @settings(max_examples=150, deadline=None, database=None)
    @given(filters)
    def collect(filter: dict[str, Any]) -> None:
        seen.append(filter)

    collect()
    async with open_store(postgres_dsn, kind) as store:
        await _index(store, indexed)
        await _fill(store)
        for filter in seen:
            await _same(store, filter)
            others = {"$nor": [filter]}
            found, rest = await _ids(store, filter), await _ids(store, others)
            assert found == sorted(expected(filter)), filter
            assert sorted(found + rest) == sorted(document["_id"] for document in DOCUMENTS), filter


SORTED_FILTERS: list[dict[str, Any]] = [
    {},
    {"level": {"$exists": True}},
    {"$nor": [{"name": "b"}]},
    {"meta": {"$ne": 5}, "active": None},
    {"level": {"$gte": 1}},
    {"level": {"$gt": 0, "$lt": 2**53}, "big": None},
    {"active": {"$in": [True, False]}, "level": None},
    {"extra": "a", "name": None},
]
SORTS: list[dict[str, int]] = [
    {"level": 1, "_id": 1},
    {"level": -1, "_id": 1},
    {"name": -1, "level": 1, "_id": -1},
    {"meta.created": 1, "_id": 1},
    {"active": -1, "big": 1, "_id": 1},
    {"_id": -1},
    {"extra": 1, "_id": 1},
]


@pytest.mark.parametrize(("kind", "indexed"), STORES)
@pytest.mark.parametrize("sort", SORTS, ids=str)
async def test_the_first_in_order_are_the_first(
    sort: dict[str, int], kind: str, indexed: bool, postgres_dsn: str
) -> None:
    """However much of the order SQL knows, the documents come as BSON orders them."""
    async with open_store(postgres_dsn, kind) as store:
        await _index(store, indexed)
        await _fill(store)
        for filter in SORTED_FILTERS:
            matching = [d for d in DOCUMENTS if compile_filter(filter).matches(d)]
            ordered = [document["_id"] for document in sort_documents(matching, sort)]
            for skip, limit in ((0, 1), (0, 40), (7, 20), (max(0, len(ordered) - 3), 50), (0, 0)):
                found = await store.find(filter, sort=sort, skip=skip, limit=limit)
                assert [d["_id"] for d in found] == ordered[skip : skip + limit if limit else None], (filter, skip)
            query = {"findAndModify": ENTITY, "query": filter, "sort": sort, "update": {"$set": {"extra": 1}}}
            before = (await store.run(query))["value"]
            assert before["_id"] == ordered[0]
            restored = {"update": ENTITY, "updates": [{"q": {"_id": before["_id"]}, "u": before}]}
            assert (await store.run(restored))["n"] == 1


async def _fill(store: Store) -> None:
    reply = await store.insert(*DOCUMENTS)
    assert reply == {"n": len(DOCUMENTS), "ok": 1.0}


async def _ids(store: Store, filter: dict[str, Any]) -> list[str]:
    return sorted(document["_id"] for document in await store.find(filter))


async def _index(store: Store, indexed: bool) -> None:
    if indexed:
        specs = [{**spec, "name": str(number)} for number, spec in enumerate(INDEXES)]
        reply = await store.run({"createIndexes": ENTITY, "indexes": specs})
        assert reply.get("numIndexesAfter") == len(INDEXES) + 1, reply


async def _same(store: Store, filter: dict[str, Any]) -> None:
    """SQL's superset holds everything that matches. Rows are compared before the matcher rechecks them."""
    gate = Gate("true", (), StoreError)
    call = Call(store.conn, store.layout, "", None, DatetimeMS(0))
    query = compile_query(call, gate, filter)
    ids = f"t.{store.layout.id}"
    rows = await store.conn.fetch(
        f"SELECT {ids} FROM {store.layout.table} AS t WHERE {query.condition.sql}", *query.args.values
    )
    selected = {keys.decode(store.layout.key_of(row[0])) for row in rows}
    matching = expected(filter)
    missed = [id for id in matching if id not in selected]
    assert not missed, f"{filter} misses {missed} by {query.condition}"
    if query.condition.exact:
        assert selected == set(matching), f"{filter} is not exact: {query.condition}"
