"""``$jsonSchema`` in memory against a real server, which is SecantusDB where no other one is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC
from tests.unit.test_bson_schema import OF_A

OTHERWISE: list[dict[str, Any]] = [
    {"minimum": 2},
    {"maximum": 2, "exclusiveMaximum": False},
    {"multipleOf": 2},
    {"multipleOf": 0.1},
    {"minLength": 2},
    {"uniqueItems": True},
]
"""SecantusDB lets decimals and NaN pass every bound, cannot divide an infinity nor a fraction, takes code for a text,
and numbers of two types, or documents whose fields are in another order, for different elements."""


@pytest.fixture
def collection(mongo_uri: str) -> Iterator[Any]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client.get_default_database().get_collection("schemas", codec_options=CODEC)


def test_schemas(collection: Any) -> None:
    differing = []
    for schema, fitting, others in OF_A:
        collection.delete_many({})
        collection.insert_many([{"_id": n, "a": value} for n, value in enumerate([*fitting, *others])] + [{"_id": -1}])
        try:
            found = collection.find({"$jsonSchema": {"properties": {"a": schema}}}, {"_id": 1}).sort("_id")
            ids = [document["_id"] for document in found]
        except OperationFailure:
            ids = []
        if ids != [-1, *range(len(fitting))]:
            differing.append(schema)
    secantus = "secantusVersion" in collection.database.client.server_info()
    assert differing == (OTHERWISE if secantus else [])
