"""Collations on both layouts: SQL is never asked to compare texts, and what is not known is refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import given, settings

from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store
from tests.contract.test_postgres_commands import Command, delete, find, insert, modify, update
from tests.contract.test_postgres_filters import DOCUMENTS as ALL_KINDS
from tests.contract.test_postgres_filters import filters

NO_CASE = {"locale": "en", "strength": 2}
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "name": "Anna", "level": 1, "tags": ["X", "y"], "email": "A@x"},
    {"_id": "B", "name": "anna", "level": 2, "tags": ["z"], "email": "b@x"},
    {"_id": "c", "name": "Änna", "level": 3, "tags": [], "email": "C@x"},
    {"_id": "D", "name": "Zoë", "level": 4, "tags": ["x"], "email": "d@x"},
]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        await opened.run(insert(*DOCUMENTS))
        yield opened


async def ids(store: Store, filter: dict[str, Any], **options: Any) -> list[Any]:
    return [document["_id"] for document in await store.find(filter, collation=NO_CASE, **options)]


BY_LEVEL = {"sort": {"level": 1}}


async def test_finding(store: Store) -> None:
    assert await ids(store, {"name": "ANNA"}, **BY_LEVEL) == ["a", "B"]
    assert await ids(store, {"_id": "A"}) == ["a"]
    assert await ids(store, {"_id": {"$in": ["b", "C"]}}, **BY_LEVEL) == ["B", "c"]
    assert await ids(store, {"_id": {"$gte": "b"}}, **BY_LEVEL) == ["B", "c", "D"]
    assert await ids(store, {"tags": "x", "level": {"$gt": 1}}) == ["D"]
    assert await ids(store, {"$or": [{"name": "ANNA", "level": 2}, {"tags": "X", "level": 4}]}, **BY_LEVEL) == [
        "B",
        "D",
    ]
    assert await ids(store, {"$nor": [{"name": "ANNA"}]}, **BY_LEVEL) == ["c", "D"]
    assert await ids(store, {"name": {"$gt": "anna", "$lt": "ZOE"}}) == ["c"]
    assert await ids(store, {"name": {"$ne": "ANNA"}, "level": {"$lt": 4}}) == ["c"]
    assert await ids(store, {"level": 3, "none": None}) == ["c"]
    assert await store.find({"_id": ObjectId()}, collation=NO_CASE) == []


async def test_order(store: Store) -> None:
    assert await ids(store, {}, sort={"_id": -1}) == ["D", "c", "B", "a"]
    assert await ids(store, {}, sort={"_id": 1}, limit=2, skip=1) == ["B", "c"]
    assert await ids(store, {}, sort={"name": 1, "level": -1}) == ["B", "a", "c", "D"]
    assert await ids(store, {"email": {"$gt": "a@X"}}, sort={"email": -1}, limit=1) == ["D"]


async def test_counting_and_distinct_values(store: Store) -> None:
    async def reply(command: Command) -> dict[str, Any]:
        return await store.run({**command, "collation": NO_CASE})

    assert (await reply({"count": ENTITY, "query": {"name": "ANNA"}}))["n"] == 2
    counting = [{"$match": {"name": "ANNA"}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}]
    counted = await reply({"aggregate": ENTITY, "pipeline": counting, "cursor": {}})
    assert counted["cursor"]["firstBatch"] == [{"_id": 1, "n": 2}]
    shaped = [{"$match": {"tags": "X"}}, {"$sort": {"name": -1}}, {"$project": {"name": 1}}, {"$limit": 1}]
    found = await reply({"aggregate": ENTITY, "pipeline": shaped, "cursor": {}})
    assert found["cursor"]["firstBatch"] == [{"_id": "D", "name": "Zoë"}]
    for refused in ({"$sort": {"tags": 1}}, {"$match": {"tags": "X"}}, {"$set": {"x": {"$eq": ["$name", "ANNA"]}}}):
        again = await reply({"aggregate": ENTITY, "pipeline": [{"$unwind": "$tags"}, refused], "cursor": {}})
        assert again["unsupported"] == "collation of a pipeline"
    grouped = await reply({"aggregate": ENTITY, "pipeline": [{"$group": {"_id": "$name"}}], "cursor": {}})
    assert grouped["unsupported"] == "collation of a pipeline"
    assert [value.lower() for value in (await reply({"distinct": ENTITY, "key": "tags"}))["values"]] == ["x", "y", "z"]


async def test_writing(store: Store) -> None:
    assert (await store.run(update({"_id": "A"}, {"$set": {"level": 9}}, collation=NO_CASE)))["nModified"] == 1
    assert (await store.run(update({"_id": "A"}, {"$set": {"level": 9}})))["n"] == 0
    change = {"$addToSet": {"tags": "Z"}, "$set": {"level": 0}}
    assert (await store.run(update({"name": "ANNA"}, change, multi=True, collation=NO_CASE)))["n"] == 2
    assert [document["tags"] for document in await store.find({"level": 0}, sort={"_id": 1})] == [
        ["z"],
        ["X", "y", "Z"],
    ]
    found = {"tags": "x", "level": 0}
    reply = await store.run(modify(found, update={"$set": {"tags.$": "w"}}, new=True, collation=NO_CASE))
    assert reply["value"]["tags"] == ["w", "y", "Z"]
    reply = await store.run(modify({}, sort={"name": -1}, remove=True, collation=NO_CASE))
    assert reply["value"]["_id"] == "D"
    one = {"q": {"_id": "C"}, "limit": 1, "collation": NO_CASE}
    assert (await store.run({"delete": ENTITY, "deletes": [one]}))["n"] == 1
    reply = await store.run(update({"_id": "N", "name": "n"}, {"$set": {"level": 5}}, upsert=True, collation=NO_CASE))
    assert reply["upserted"] == [{"index": 0, "_id": "N"}]
    reply = await store.run(update({"_id": "n"}, {"$set": {"level": 6}}, upsert=True, collation=NO_CASE))
    assert (reply["n"], reply["nModified"], "upserted" in reply) == (1, 1, False)
    assert (await store.run(delete({"_id": "n"})))["n"] == 0


@pytest.mark.parametrize(
    ("command", "unsupported"),
    [
        (find({}, collation={"locale": "sv"}), "collation locale sv"),
        (find({}, collation={"locale": "en", "alternate": "shifted"}), "collation alternate shifted"),
        (find({"$expr": {"$eq": ["$name", "anna"]}}, collation=NO_CASE), "collation with $expr"),
        (modify({}, update=[{"$set": {"a": {"$eq": ["$a", "x"]}}}], collation=NO_CASE), "collation of a pipeline"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(store: Store, command: Command, unsupported: str) -> None:
    reply = await store.run(command)
    assert (reply["ok"], reply["unsupported"]) == (0.0, unsupported)


async def test_a_text_whose_place_is_not_known_is_refused_by_name(store: Store) -> None:
    await store.run(insert({"_id": "e", "name": "日本"}))
    reply = await store.run(find({"level": {"$exists": False}}, sort={"name": 1}, collation=NO_CASE))
    assert reply["unsupported"] == "collation order of U+65E5"
    assert await ids(store, {"name": "日本"}) == ["e"]
    spec = {"key": {"name": 1}, "name": "n", "collation": NO_CASE}
    reply = await store.run({"createIndexes": ENTITY, "indexes": [spec]})
    if isinstance(store.layout, DocumentsLayout):
        assert reply["numIndexesAfter"] == 2, "what equals it is known"
    else:
        assert reply["unsupported"] == "createIndexes.indexes collation"


@pytest.mark.parametrize("kind", KINDS)
async def test_no_filter_misses_a_document(kind: str, postgres_dsn: str) -> None:
    """What SQL still answers is at least what the collation finds."""
    seen: list[dict[str, Any]] = []

    @settings(max_examples=150, deadline=None, database=None)
    @given(filters)
    def collect(filter: dict[str, Any]) -> None:
        seen.append(filter)

    collect()
    collation = compile_collation(NO_CASE)
    async with open_store(postgres_dsn, kind) as store:
        await store.insert(*ALL_KINDS)
        for filter in seen:
            try:
                matches = compile_filter(filter, collation=collation).matches
                expected = [document["_id"] for document in ALL_KINDS if matches(document)]
            except CommandFailure:  # a text that the collation does not know
                continue
            assert sorted(await ids(store, filter)) == sorted(expected), filter
