"""Pipelines in memory against a real server, and on PostgreSQL against memory.

The server of the tests is SecantusDB, which is not MongoDB. Where the two part, MongoDB's rule is built here, and the
table below names the difference: each of its lines must still be true of SecantusDB.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import HealthCheck, given, settings
from pymongo.errors import OperationFailure

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import CODEC, encode
from shadow_adapters.failures import CommandFailure
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store
from tests.diffs.pipelines import Document, Stages, documents, pipelines
from tests.unit import test_bson_pipeline_gaps as gaps
from tests.unit import test_bson_pipeline_groups as groups
from tests.unit import test_bson_pipeline_series as series
from tests.unit.pipelines import Collections, run, run_async
from tests.unit.test_bson_pipeline_window import DOCUMENTS, WINDOWS

QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def collection(mongo_uri: str) -> Iterator[Any]:
    with pymongo.MongoClient[Document](mongo_uri) as client:
        yield client.get_default_database().get_collection(ENTITY, codec_options=CODEC)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


def bag(found: list[Document]) -> list[bytes]:
    """Documents in no order. Any of several equal values may stand for a group."""
    return sorted(keys.encode(document) for document in found)


async def in_memory(stages: Stages, made: list[Document]) -> Any:
    try:
        return bag(await run_async(stages, made, sources=Collections({ENTITY: made})))
    except CommandFailure as failure:
        return failure.code


def on_server(collection: Any, stages: Stages, made: list[Document]) -> Any:
    collection.delete_many({})
    collection.insert_many([dict(document) for document in made])
    try:
        return bag(collection.aggregate(stages).to_list())
    except OperationFailure as error:
        return error.code


def _counts(made: list[Document], stages: Stages) -> bool:
    return any("$count" in stage for stage in stages)


def _goes_through_an_array(made: list[Document], stages: Stages) -> bool:
    return "$a.x" in str(stages) and any(isinstance(each.get("a"), list) for each in made)


def _computes_inside(made: list[Document], stages: Stages) -> bool:
    nested = any("x" in stage["$addFields"].get("b", ()) for stage in stages if "$addFields" in stage)
    return nested and any(isinstance(value, list | dict) for each in made for value in each.values())


DIFFERENCES = {
    "none is counted as 0": _counts,
    "a path does not go into an array": _goes_through_an_array,
    "a document of computed fields replaces what was there": _computes_inside,
}
"""Where SecantusDB may differ on a generated pipeline."""

LIST: list[Document] = [{"_id": 0, "a": [{"x": 1}, {"x": 3}]}]

EXAMPLES: dict[str, tuple[list[Document], Stages, list[Document]]] = {
    "none is counted as 0": (LIST, [{"$match": {"a": 5}}, {"$count": "n"}], []),
    "a path does not go into an array": (LIST, [{"$project": {"v": "$a.x"}}], [{"_id": 0, "v": [1, 3]}]),
    "a document of computed fields replaces what was there": (
        [{"_id": 0, "b": {"y": 2}}],
        [{"$addFields": {"b": {"x": 1}}}],
        [{"_id": 0, "b": {"y": 2, "x": 1}}],
    ),
    "nor does it go into each element of an array": (
        [{"_id": 0, "b": [1, {"y": 2}]}],
        [{"$addFields": {"b": {"x": 1}}}],
        [{"_id": 0, "b": [{"x": 1}, {"y": 2, "x": 1}]}],
    ),
    "a path is not made for what is missing": (
        [{"_id": 0}],
        [{"$set": {"d.e": "$none"}}],
        [{"_id": 0, "d": {}}],
    ),
    "positions are 32 bits wide": (
        [{"_id": 0, "t": ["x"]}],
        [{"$unwind": {"path": "$t", "includeArrayIndex": "i"}}],
        [{"_id": 0, "t": "x", "i": Int64(0)}],
    ),
}
"""Documents, a pipeline, and MongoDB's result, which is not SecantusDB's."""

_GROWING: Document = {"window": {"documents": ["unbounded", "current"]}}
_LAST_TWO: Document = {"window": {"documents": [-1, 0]}}
OTHER_WINDOWS: list[Document] = [
    {"$count": {}, "window": {"range": [{"$subtract": [0, 2]}, Decimal128("0.5")]}},  # bounds are no expressions
    {"$integral": {"input": "$v"}, "window": {"range": [1, 2]}},  # 0 of an empty window
    {"$expMovingAvg": {"input": "$g", "N": 1}},  # null fails, and decimals
    {"$expMovingAvg": {"input": {"$toDecimal": "$v"}, "N": 3}},
    {"$covariancePop": ["$x", "$v"], **_GROWING},  # not known
    {"$covarianceSamp": ["$x", "$v"], **_LAST_TWO},
    {"$covarianceSamp": ["$x", "$none"]},
    {"$covariancePop": [1, math.inf], "window": {"documents": [0, 0]}},
    {"$push": "$_id", "window": {"range": [-1, 0], "unit": "month"}},  # units of a fixed length only
    {"$derivative": {"input": "$v", "unit": "day"}, **_LAST_TWO},  # rounded elsewhere
]
"""Outputs of windows in which SecantusDB differs."""

OTHER_GAPS = [
    "full of decimals",  # a step is no decimal
    "full of partitions",  # each only to its own end
    "a path",  # is taken for a name
    "a path beside a partition",
    "fields by partition",  # what is missing stays so
    "fields by an expression",
    "nothing",  # is refused
]
"""What SecantusDB fills otherwise."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_where_the_server_is_not_mongodb(collection: Any, name: str) -> None:
    made, stages, expected = EXAMPLES[name]
    assert [encode(found) for found in run(stages, made)] == [encode(found) for found in expected]
    collection.insert_many([dict(document) for document in made])
    found = [encode(each) for each in collection.aggregate(stages).to_list()]
    secantus = "secantusVersion" in collection.database.client.server_info()
    assert (found == [encode(each) for each in expected]) is not secantus


def test_windows(collection: Any) -> None:
    cases = [
        *[(output, "v", DOCUMENTS) for output, _ in WINDOWS],
        *[(output, "x", series.DOCUMENTS) for output, _ in series.BY_NUMBER],
        *[(output, "d", series.DOCUMENTS) for output, _ in series.BY_DATE],
    ]
    differing = []
    for output, by, made in cases:
        stages: Stages = [{"$setWindowFields": {"sortBy": {by: 1}, "output": {"o": output}}}]
        if asyncio.run(in_memory(stages, made)) != on_server(collection, stages, made):
            differing.append(output)
    secantus = "secantusVersion" in collection.database.client.server_info()
    assert differing == (OTHER_WINDOWS if secantus else [])


def test_granularities(collection: Any) -> None:
    differing = []
    for values, granularity, buckets, _ in groups.ROUNDED:
        made: list[Document] = [{"_id": n, "a": value} for n, value in enumerate(values)]
        stages: Stages = [{"$bucketAuto": {"groupBy": "$a", "buckets": buckets, "granularity": granularity}}]
        if made and asyncio.run(in_memory(stages, made)) != on_server(collection, stages, made):
            differing.append((granularity, len(values), str(values[0])))
    assert differing == []


def test_gaps(collection: Any) -> None:
    differing = []
    for name, (made, stages, _) in gaps.CASES.items():
        given_ids = [{"_id": n, **document} for n, document in enumerate(made)]
        if made and asyncio.run(in_memory(stages, given_ids)) != on_server(collection, stages, given_ids):
            differing.append(name)
    secantus = "secantusVersion" in collection.database.client.server_info()
    assert differing == (OTHER_GAPS if secantus else [])


@given(made=documents, stages=pipelines())
@QUICK
def test_memory_is_the_server(collection: Any, made: list[Document], stages: Stages) -> None:
    memory, server = asyncio.run(in_memory(stages, made)), on_server(collection, stages, made)
    secantus = "secantusVersion" in collection.database.client.server_info()
    explained = secantus and any(applies(made, stages) for applies in DIFFERENCES.values())
    assert memory == server or explained


@given(made=documents, stages=pipelines())
@settings(QUICK, max_examples=60)
async def test_postgresql_is_memory(store: Store, made: list[Document], stages: Stages) -> None:
    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
    given_ids = [{**document, "_id": f"{document['_id']:02}"} for document in made]
    await store.insert(*given_ids)
    reply = await store.run({"aggregate": ENTITY, "pipeline": stages, "cursor": {}})
    found = bag(reply["cursor"]["firstBatch"]) if reply["ok"] else reply["code"]
    assert found == await in_memory(stages, given_ids)
