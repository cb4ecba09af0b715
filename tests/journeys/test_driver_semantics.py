"""What only a driver shows, on the bare one and on façades that MongoDB and PostgreSQL answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo import InsertOne, WriteConcern
from pymongo.errors import BulkWriteError, InvalidOperation, OperationFailure

from tests.journeys.facade_new import NewRouter
from tests.journeys.facade_support import BindingRouter, LegacyRouter
from tests.journeys.facade_worlds import Pair


@pytest.fixture(params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["bare", "legacy", "new"])
async def collection(
    request: pytest.FixtureRequest, driver: str, mongo_uri: str, postgres_dsn: str
) -> AsyncIterator[Any]:
    new = request.param == "new"
    router: Any = await NewRouter.make(postgres_dsn, "routed", "d.routed") if new else BindingRouter()
    pair = Pair(driver, mongo_uri, router)
    found = pair.bare if request.param == "bare" else pair.facade
    await found.delete_many({})
    yield found
    await found.delete_many({})
    await pair.close()
    if new:
        await router.pool.close()


async def test_95_insert_one_adds_the_id_to_the_callers_document_and_stores_it_first(collection: Any) -> None:
    document: dict[str, Any] = {"b": 1, "a": 2}
    result = await collection.insert_one(document)
    assert isinstance(document["_id"], ObjectId)
    assert document["_id"] == result.inserted_id
    stored = await collection.find_one({})
    assert list(stored) == ["_id", "b", "a"]


@pytest.mark.parametrize(("ordered", "stored"), [(True, [1]), (False, [1, 2])])
async def test_96_ordered_bulk_stops_at_the_first_error_and_unordered_goes_on(
    collection: Any, ordered: bool, stored: list[int]
) -> None:
    requests = [InsertOne({"_id": 1}), InsertOne({"_id": 1}), InsertOne({"_id": 2}), InsertOne({"_id": 1})]
    with pytest.raises(BulkWriteError) as raised:
        await collection.bulk_write(requests, ordered=ordered)
    assert raised.value.details["nInserted"] == len(stored)
    errors = raised.value.details["writeErrors"]
    assert [(error["index"], error["code"]) for error in errors] == [(1, 11000), (3, 11000)][: len(errors)]
    assert len(errors) == (1 if ordered else 2)
    assert [found["_id"] for found in await collection.find({}).sort("_id", 1).to_list(None)] == stored


async def test_98_a_write_without_acknowledgement_says_so(collection: Any) -> None:
    careless = collection.with_options(write_concern=WriteConcern(w=0))
    result = await careless.insert_one({"_id": 1})
    assert not result.acknowledged
    assert result.inserted_id == 1
    with pytest.raises(InvalidOperation):
        _ = (await careless.delete_one({"_id": 7})).deleted_count


@pytest.mark.parametrize("facade", [False, True], ids=["bare", "legacy"])
async def test_100_a_cursor_whose_collection_is_dropped_ends_in_an_error(
    driver: str, mongo_uri: str, facade: bool
) -> None:
    pair = Pair(driver, mongo_uri, LegacyRouter())
    found = pair.facade if facade else pair.raw
    await pair.raw.delete_many({})
    await pair.raw.insert_many([{"_id": n} for n in range(10)])
    cursor = found.find({}, batch_size=2)
    first = [await anext(cursor) for _ in range(2)]
    await pair.raw.drop()
    with pytest.raises(OperationFailure) as raised:
        await cursor.to_list(None)
    await pair.close()
    assert len(first) == 2
    assert raised.value.code in (43, 175)


@pytest.mark.parametrize("collection", ["new"], indirect=True)
async def test_100_a_cursor_of_new_reads_the_moment_at_which_it_was_opened(collection: Any) -> None:
    await collection.insert_many([{"_id": n} for n in range(1000)])
    cursor = collection.find({}, batch_size=2)
    first = await anext(cursor)
    await collection.delete_many({})
    rest = await cursor.to_list(None)
    assert sorted(document["_id"] for document in [first, *rest]) == list(range(1000))
    assert await collection.count_documents({}) == 0
