"""A client's bulks over two collections, and what they came to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne, WriteConcern
from pymongo.errors import ClientBulkWriteException

from tests.journeys.facade_support import plain

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
