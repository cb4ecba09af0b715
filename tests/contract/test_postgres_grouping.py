"""``$group`` in SQL where the layout tells what fields are, and in memory where it does not: the same groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import encode
from shadow_adapters.contract import Fence
from shadow_adapters.failures import NotReadable
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store
from tests.contract.test_postgres_aggregate import command, statements_of
from tests.unit.pipelines import run_async

Document = dict[str, Any]

TOLD: list[Any] = [..., None, 0, 1, -5, 2**31 - 1, -(2**31), "", "a", "é", "b" * 256, True, False]
UNTOLD: list[Any] = [1.5, 2.0, -0.0, float("inf"), Int64(1), 2**31, Decimal128("1"), [], [1], [[]], {}, {"x": 1}]
UNTOLD += ["c" * 257, "a\0b", DatetimeMS(0), b"x", 2**60]
SPECS: list[Document] = [
    {"_id": "$a", "n": {"$sum": 1}},
    {"_id": None, "sum": {"$sum": "$b"}, "avg": {"$avg": "$b"}, "n": {"$count": {}}, "three": {"$sum": 3}},
    {"_id": "$a", "least": {"$min": "$b"}, "most": {"$max": "$b"}, "sum": {"$sum": "$a"}},
    {"_id": {"x": "$a", "y": "$b"}, "n": {"$sum": 1}},
    {"_id": "$none", "most": {"$max": "$none"}, "sum": {"$sum": "$none"}, "avg": {"$avg": "$none"}},
    {"_id": "$quo'te", "n": {"$sum": "$b"}},
]

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


def documents_of(values: list[tuple[Any, Any]]) -> list[Document]:
    made = []
    for number, pair in enumerate(values):
        fields = {name: value for name, value in zip("ab", pair, strict=True) if value is not ...}
        made.append({"_id": number, **fields, "quo'te": number % 2})
    return made


async def filled(store: Store, made: list[Document]) -> None:
    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
    await store.insert(*made)


async def groups(store: Store, spec: Document) -> list[bytes]:
    reply = await store.run(command([{"$group": spec}]))
    return sorted(encode(found) for found in reply["cursor"]["firstBatch"])


async def expected(made: list[Document], spec: Document) -> list[bytes]:
    return sorted(encode(found) for found in await run_async([{"$group": spec}], made))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_needs_no_field_is_counted_on_every_layout(kind: str, postgres_dsn: str) -> None:
    spec: Document = {"_id": None, "n": {"$sum": 1}, "five": {"$sum": 5}, "all": {"$count": {}}}
    async with open_store(postgres_dsn, kind) as store:
        assert await groups(store, spec) == []
        made = [{"_id": str(number), "level": number} for number in range(7)]
        await store.insert(*made)
        assert await groups(store, spec) == await expected(made, spec)
        assert await groups(store, {"_id": None}) == [encode({"_id": None})]


_pairs = st.lists(st.tuples(st.sampled_from(TOLD), st.sampled_from(TOLD)), min_size=1, max_size=10)
_all_pairs = st.lists(
    st.tuples(st.sampled_from(TOLD + UNTOLD), st.sampled_from(TOLD + UNTOLD)), min_size=1, max_size=10
)


@given(pairs=_pairs, spec=st.sampled_from(SPECS))
@QUICK
async def test_what_is_told_is_grouped_by_sql(store: Store, pairs: list[tuple[Any, Any]], spec: Document) -> None:
    made = documents_of(pairs)
    await filled(store, made)
    assert await groups(store, spec) == await expected(made, spec)
    statements = await statements_of(store, [{"$group": spec}])
    assert len(statements) == 1, "one statement, and no cursor"
    assert "bool_and" in statements[0]


@given(pairs=_all_pairs, spec=st.sampled_from(SPECS))
@QUICK
async def test_what_is_not_told_is_grouped_here(store: Store, pairs: list[tuple[Any, Any]], spec: Document) -> None:
    made = documents_of(pairs)
    await filled(store, made)
    found, wanted = await groups(store, spec), await expected(made, spec)
    assert found == wanted


@pytest.mark.parametrize("value", UNTOLD, ids=str)
async def test_one_value_that_is_not_told_is_enough(store: Store, value: Any) -> None:
    made = documents_of([(1, value), (value, 2), (1, 2)])
    await filled(store, made)
    for spec in SPECS[1:4]:
        assert await groups(store, spec) == await expected(made, spec)


async def test_rows_of_before_are_not_trusted(store: Store) -> None:
    made: list[Document] = [{"_id": n, "a": 1, "b": n} for n in range(4)]
    await filled(store, made)
    await store.conn.execute(
        """UPDATE shadow_documents.things SET q = q - '$typed' || '{"b": [7]}' WHERE k = $1""", keys.encode(2)
    )
    spec = SPECS[1]
    assert len(await statements_of(store, [{"$group": spec}])) > 1
    assert await groups(store, spec) == await expected(made, spec)
    change = {"q": {"_id": 2}, "u": {"$set": {"a": Int64(9)}}}
    assert (await store.run({"update": ENTITY, "updates": [change]}))["nModified"] == 1
    made[2]["a"] = Int64(9)
    assert len(await statements_of(store, [{"$group": spec}])) > 1, "a field that is set does not make the rest told"
    assert await groups(store, spec) == await expected(made, spec)


@pytest.mark.parametrize("value", [5, 2.5, Int64(5), [5], "x", None, {"x": 1}], ids=str)
async def test_a_field_that_is_set_is_told_anew(store: Store, value: Any) -> None:
    made: list[Document] = [{"_id": 1, "a": 1, "b": 1}, {"_id": 2, "a": [1], "b": 2}]
    await filled(store, made)
    for document in made:
        await store.run({"update": ENTITY, "updates": [{"q": {"_id": document["_id"]}, "u": {"$set": {"a": value}}}]})
        document["a"] = value
    for spec in SPECS[:4]:
        assert await groups(store, spec) == await expected(made, spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"_id": "$_id"},
        {"_id": "$a.b"},
        {"_id": "$$ROOT"},
        {"_id": 5, "n": {"$max": "$a"}},
        {"_id": {"$add": ["$b", 1]}},
        {"_id": {"x": {"y": "$b"}}},
        {"_id": "$a", "all": {"$push": "$b"}},
        {"_id": "$a", "n": {"$sum": {"$add": ["$b", 1]}}},
        {"_id": "$a", "n": {"$sum": 1.5}},
        {"_id": "$$typed", "n": {"$sum": 1}},
    ],
    ids=str,
)
async def test_other_groups_are_made_here(store: Store, spec: Document) -> None:
    made = documents_of([(1, 2), (1, 3), (2, 3)])
    await filled(store, made)
    if spec["_id"] == "$$typed":
        spec = {**spec, "_id": "$typed"}
    assert await groups(store, spec) == await expected(made, spec)


async def test_no_document_claims_to_be_told(store: Store) -> None:
    made: list[Document] = [{"_id": 1, "a": 1, "$typed": 2}, {"_id": 2, "a": 1}]
    await filled(store, made)
    await store.conn.execute("""UPDATE shadow_documents.things SET q = '{"a": [7]}' WHERE k = $1""", keys.encode(2))
    assert await groups(store, SPECS[0]) == await expected(made, SPECS[0])
    literal = {"$setField": {"field": {"$literal": "$typed"}, "input": "$$ROOT", "value": 5}}
    await store.run({"update": ENTITY, "updates": [{"q": {"_id": 2}, "u": [{"$replaceWith": literal}]}]})
    made[1]["$typed"] = 5
    assert await groups(store, SPECS[0]) == await expected(made, SPECS[0])
    assert len(await statements_of(store, [{"$group": SPECS[0]}])) == 1


async def test_a_filter_a_fence_and_what_follows(store: Store) -> None:
    made = documents_of([(1, 2), (1, 3), (2, 3), ("x", 4)])
    await filled(store, made)
    stages: list[Document] = [
        {"$match": {"_id": {"$lt": 3}}},
        {"$group": {"_id": "$a", "n": {"$sum": "$b"}}},
        {"$match": {"n": {"$gt": 3}}},
    ]
    for fence in (FENCE, None):
        reply = await store.run(command(stages), fence=fence)
        assert reply["cursor"]["firstBatch"] == [{"_id": 1, "n": 5}]
    assert (await store.run(command([{"$match": {"_id": 99}}, *stages[1:]])))["cursor"]["firstBatch"] == []
    with pytest.raises(NotReadable):
        await store.run(command(stages), fence=Fence(ENTITY, 9))
    explained = await store.run({"explain": command(stages)})
    assert [part["by"] for part in explained["parts"]] == ["sql", "sql", "memory"]
