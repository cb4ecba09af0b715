"""Indexes of the documents layout under a collation, hashed ones, and hidden ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.bson.keys import key_of
from shadow_adapters.failures import Refused, StoreError
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.query import compile_query
from tests.contract.postgres_stores import ENTITY, Store, open_store

NO_CASE = {"locale": "en", "strength": 2}
LISTED = {
    "locale": "en",
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 2,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
    "version": "57.1",
}
"""As MongoDB 8.0 completes it."""


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


async def _make(store: Store, key: dict[str, Any], **options: Any) -> Mapping[str, Any]:
    return await store.run({"createIndexes": ENTITY, "indexes": [{"key": key, "name": "i", **options}]})


async def _used(store: Store, filter: dict[str, Any], collation: Any = None, sort: Any = None) -> str | None:
    await store.layout.prepare(store.conn)
    call = Call(store.conn, store.layout, "", None, DatetimeMS(0))
    gate = Gate("true", (), StoreError)
    return compile_query(call, gate, filter, sort=sort, collation=compile_collation(collation)).index


async def _ids(store: Store, filter: dict[str, Any], **options: Any) -> list[Any]:
    return sorted(document["_id"] for document in await store.find(filter, **options))


async def test_texts_that_a_collation_takes_for_equal_are_duplicates(store: Store, mongo_uri: str) -> None:
    steps: list[dict[str, Any]] = [
        {"_id": 1, "email": "Ann@Example.org"},
        {"_id": 2, "email": "ann@example.ORG"},
        {"_id": 3, "email": "änn@example.org"},
        {"_id": 4, "email": ["bob", "BOB"]},
        {"_id": 5, "email": "Bob"},
        {"_id": 6, "email": 7},
        {"_id": 7, "email": 7.0},
        {"_id": 8},
        {"_id": 9, "email": None},
        {"_id": 10, "email": {"of": "X"}},
        {"_id": 11, "email": {"of": "x"}},
    ]
    await _make(store, {"email": 1}, unique=True, collation=NO_CASE)
    async with AsyncMongoClient[dict[str, Any]](mongo_uri) as client:
        bare = client.index_kinds.texts
        await bare.drop()
        await bare.create_index("email", unique=True, collation=NO_CASE)
        for document in steps:
            reply = await store.insert(document)
            try:
                await bare.insert_one(dict(document))
                taken = False
            except DuplicateKeyError as error:
                taken = True
                assert error.details is not None
                assert error.details["keyPattern"] == reply["writeErrors"][0]["keyPattern"], document
            assert (reply["n"] == 0) == taken, document
        await client.drop_database("index_kinds")
    change = {"q": {"_id": 3}, "u": {"$set": {"email": "ANN@example.org"}}}
    assert (await store.run({"update": ENTITY, "updates": [change]}))["writeErrors"][0]["code"] == 11000


async def test_an_index_serves_queries_of_its_own_collation(store: Store) -> None:
    names = ["ann", "Ann", "ANN", "bob", "Bob", "cäsar"]
    await store.insert(*({"_id": i, "name": names[i % 6], "n": i, "tags": [names[(i + 1) % 6]]} for i in range(300)))
    queries: list[dict[str, Any]] = [
        {"name": "aNN"},
        {"name": {"$in": ["BOB", "CÄSAR"]}, "n": {"$gte": 100}},
        {"$or": [{"name": "ANN"}, {"name": "BOB"}]},
        {"name": "nobody"},
    ]
    before = [await _ids(store, query, collation=NO_CASE) for query in queries]
    await _make(store, {"name": 1, "n": -1}, collation=NO_CASE)
    for query, found in zip(queries, before, strict=True):
        assert await _used(store, query, NO_CASE) in ("i", "i, i"), query
        assert await _ids(store, query, collation=NO_CASE) == found, query
        for other in (None, {"locale": "en", "strength": 1}, {"locale": "en"}):
            assert await _used(store, query, other) is None, (query, other)
    assert len(before[0]) == 150
    assert await _ids(store, {"name": "ann"}) == list(range(0, 300, 6)), "the index is not asked without its collation"
    assert await _used(store, {"name": {"$gt": "a"}}, NO_CASE) is None, "it tells what is equal, and no order"
    ordered = await store.find({"name": "ANN"}, sort={"n": -1}, limit=3, collation=NO_CASE)
    assert [document["_id"] for document in ordered] == [296, 295, 294]
    listed = await store.run({"listIndexes": ENTITY})
    assert listed["cursor"]["firstBatch"][1]["collation"] == LISTED
    assert (await _make(store, {"name": 1, "n": -1}, collation=LISTED)).get("numIndexesAfter") == 2
    assert (await _make(store, {"name": 1, "n": -1}))["code"] == 86
    bounds = {"hint": "i", "min": {"name": "a", "n": 1}}
    assert (await store.run({"find": ENTITY, **bounds}))["unsupported"] == "find min"


async def test_arrays_and_partial_indexes_under_a_collation(store: Store) -> None:
    await _make(store, {"tags": 1}, collation=NO_CASE, partialFilterExpression={"state": "Open"})
    await store.insert(
        {"_id": 1, "tags": ["X", "y"], "state": "open"},
        {"_id": 2, "tags": "x", "state": "OPEN"},
        {"_id": 3, "tags": ["x"], "state": "closed"},
    )
    query = {"tags": "x", "state": "open"}
    assert await _used(store, {"tags": "x", "state": "Open"}, NO_CASE) == "i"
    assert await _ids(store, {"tags": "x", "state": "Open"}, collation=NO_CASE) == [1, 2]
    assert await _ids(store, query, collation=NO_CASE) == [1, 2]
    assert await _used(store, {"tags": "x"}, NO_CASE) is None


async def test_a_text_of_which_a_collation_cannot_tell_is_refused_by_name(store: Store) -> None:
    await _make(store, {"name": 1}, unique=True, collation=NO_CASE)
    error = (await store.insert({"_id": 1, "name": "カ"}))["writeErrors"][0]
    assert (error["code"], error["unsupported"]) == (2, "collation equality of U+30AB")
    with pytest.raises(Refused, match="change the record or the index"):
        store.layout.plan_put({key_of(1): encode({"_id": 1, "name": "カ"})}, 3)
    assert (await store.insert({"_id": 1, "name": "ka"}))["n"] == 1


async def test_a_hidden_index_is_unique_and_nobody_is_led_by_it(store: Store) -> None:
    await _make(store, {"a": 1}, unique=True, hidden=True)
    await store.insert({"_id": 1, "a": 1})
    assert (await store.insert({"_id": 2, "a": 1}))["writeErrors"][0]["code"] == 11000
    assert await _used(store, {"a": 1}) is None
    assert (await store.run({"find": ENTITY, "filter": {"a": 1}, "hint": "i"}))["code"] == 2
    assert (await store.run({"listIndexes": ENTITY}))["cursor"]["firstBatch"][1]["hidden"] is True
    assert await store.run({"createIndexes": ENTITY, "indexes": [{"key": {"b": 1}, "name": "b", "hidden": False}]})
    assert "hidden" not in (await store.run({"listIndexes": ENTITY}))["cursor"]["firstBatch"][2]


async def test_a_hashed_index_serves_equality_and_takes_no_array(store: Store) -> None:
    """By MongoDB 8.0's ``hash_access_method`` and ``index_key_validate``: the stand-in has no hashed indexes."""
    await _make(store, {"a": "hashed", "b": 1})
    await store.insert(*({"_id": i, "a": i % 10, "b": i} for i in range(100)))
    assert await _used(store, {"a": 3, "b": {"$gt": 50}}) == "i"
    assert await _ids(store, {"a": 3.0, "b": {"$gt": 50}}) == [53, 63, 73, 83, 93]
    error = (await store.insert({"_id": "array", "a": [1]}))["writeErrors"][0]
    assert "hashed indexes do not currently support array values" in error["errmsg"]
    assert (await store.insert({"_id": "none"}, {"_id": "elsewhere", "b": [1, 2]}))["n"] == 2
    assert (await store.run({"listIndexes": ENTITY}))["cursor"]["firstBatch"][1]["key"] == {"a": "hashed", "b": 1}
    await store.run({"dropIndexes": ENTITY, "index": "i"})
    assert (await _make(store, {"a": "hashed"}, unique=True))["code"] == 16764
    assert (await _make(store, {"a": "hashed", "b": "hashed"}))["code"] == 31303
