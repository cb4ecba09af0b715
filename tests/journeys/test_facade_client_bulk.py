"""A client's ``bulk_write`` over configured collections and others: alike on the bare driver and through a façade."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne, WriteConcern
from pymongo.errors import ClientBulkWriteException

from tests.journeys.facade_calls import SEED
from tests.journeys.facade_new import NewRouter
from tests.journeys.facade_support import BindingRouter, LegacyRouter, QuietRouter, plain
from tests.journeys.test_facade_behaviour import CLIENTS, Pair, stored

ROUTERS = {"legacy": LegacyRouter, "bound": BindingRouter, "quiet": QuietRouter}
Models = Callable[[str, str], list[Any]]

BULKS: dict[str, tuple[Models, dict[str, Any]]] = {
    "all kinds": (
        lambda here, there: [
            InsertOne({"_id": 20, "a": 2}, namespace=here),
            UpdateMany({"a": 2}, {"$set": {"seen": 1}}, namespace=here),
            InsertOne({"_id": 1}, namespace=there),
            UpdateOne({"seen": 1, "_id": {"$gt": 3}}, {"$inc": {"a": 1}}, namespace=here),
            UpdateOne({"_id": 90}, {"$set": {"b": 1}}, upsert=True, namespace=here),
            ReplaceOne({"_id": 1}, {"q": 1}, namespace=there),
            ReplaceOne({"_id": 77}, {"q": 1}, upsert=True, namespace=here),
            DeleteOne({"_id": 1}, namespace=here),
            DeleteMany({"a": 4}, namespace=here),
            DeleteMany({}, namespace=there),
        ],
        {"verbose_results": True},
    ),
    "counted only": (
        lambda here, there: [
            InsertOne({"_id": 20}, namespace=here),
            InsertOne({"_id": 21}, namespace=here),
            UpdateOne({"_id": 20}, {"$set": {"a": 1}}, namespace=here),
            InsertOne({"_id": 22}, namespace=there),
        ],
        {},
    ),
    "an error in order": (
        lambda here, there: [
            InsertOne({"_id": 20}, namespace=there),
            InsertOne({"_id": 21}, namespace=here),
            InsertOne({"_id": 1}, namespace=here),
            InsertOne({"_id": 22}, namespace=here),
            InsertOne({"_id": 23}, namespace=there),
        ],
        {"verbose_results": True},
    ),
    "errors, unordered": (
        lambda here, there: [
            InsertOne({"_id": 20}, namespace=there),
            InsertOne({"_id": 1}, namespace=here),
            InsertOne({"_id": 21}, namespace=here),
            InsertOne({"_id": 20}, namespace=there),
            InsertOne({"_id": 22}, namespace=there),
            UpdateOne({"_id": "four"}, {"$inc": {"sub": 1}}, namespace=here),
        ],
        {"ordered": False, "verbose_results": True},
    ),
    "an error of the first": (lambda here, there: [InsertOne({"_id": 1}, namespace=here)], {}),
    "nothing": (lambda here, there: [], {}),
    "no list": (lambda here, there: 5, {}),  # type: ignore[arg-type,return-value]
    "no model": (lambda here, there: [5], {}),
    "no namespace": (lambda here, there: [InsertOne({"_id": 20})], {}),
    "a bad update": (lambda here, there: [UpdateOne({}, {"a": 1}, namespace=here)], {}),
    "unacknowledged and verbose": (
        lambda here, there: [InsertOne({"_id": 20}, namespace=here)],
        {"write_concern": WriteConcern(w=0), "verbose_results": True},
    ),
}


async def told(collection: Any, models: Models, options: dict[str, Any]) -> Any:
    client, database = collection.database.client, collection.database.name
    made = models(f"{database}.{collection.name}", f"{database}.elsewhere_{collection.name}")
    try:
        result = await client.bulk_write(made, **options)
    except ClientBulkWriteException as error:
        return type(error).__name__, str(error.error), details(error.details), error.partial_result is not None
    except Exception as error:
        return type(error).__name__, str(error)
    return result.acknowledged, result.has_verbose_results, details(result.bulk_api_result)


def details(result: Any) -> Any:
    """Counts, results and errors, without the words in which collections are named."""
    kept = dict(result)
    for name in ("insertResults", "updateResults", "deleteResults"):
        kept[name] = [(place, plain(each)) for place, each in sorted(kept[name].items())]
    kept["writeErrors"] = [
        {name: value for name, value in error.items() if name != "errmsg"} for error in kept["writeErrors"]
    ]
    return kept


async def differences(pair: Pair, facade: Any) -> dict[str, Any]:
    """``facade``: the façade's collection, or what shows its records without it."""
    found = {}
    for name, (models, options) in BULKS.items():
        for collection in (pair.bare, facade):
            await collection.delete_many({})
            await collection.insert_many(copy.deepcopy(SEED))
            await pair.clients[0][collection.database.name][f"elsewhere_{collection.name}"].delete_many({})
        ours = [await told(c, models, options) for c in (pair.bare, pair.facade)]
        left = [await stored(c) for c in (pair.bare, facade)]
        if ours[0] != ours[1] or left[0] != left[1]:
            found[name] = *ours, *(left if left[0] != left[1] else ())
    return found


@pytest.mark.parametrize("shape", CLIENTS)
@pytest.mark.parametrize("router", ROUTERS)
async def test_every_bulk_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    assert await differences(pair, pair.raw) == {}
    assert {op.name for op in pair.router.seen} == (set() if router == "quiet" else {"bulk_write"})
    await pair.close()


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    router = await NewRouter.make(postgres_dsn, "routed", "d.routed")
    made = Pair(request.param, mongo_uri, router)
    yield made
    await made.close()
    await router.pool.close()


async def test_every_bulk_is_the_drivers_on_new(on_new: Pair) -> None:
    assert await differences(on_new, on_new.facade) == {}
    assert on_new.router.others == []
