"""The same calls through the bare driver and through a façade: results, exceptions and stored records are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pymongo
import pytest
from pymongo import DeleteMany, InsertOne, UpdateOne
from pymongo.write_concern import WriteConcern

from tests.journeys.facade_calls import CALLS, CURSORS, OTHERS
from tests.journeys.facade_support import BindingRouter, LegacyRouter, QuietRouter, outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, both, pair_on, stored


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, LegacyRouter()) as made:
        yield made


@pytest.fixture(params=list(CLIENTS))
async def bound_pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, BindingRouter()) as made:
        yield made


@pytest.fixture(params=list(CLIENTS))
async def quiet_pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, QuietRouter()) as made:
        yield made


async def test_every_routed_call_is_the_drivers(pair: Pair) -> None:
    differences = {}
    for name, call in CALLS.items():
        await pair.seed()
        bare, facade = await both(pair, call)
        if bare != facade or await stored(pair.bare) != await stored(pair.raw):
            differences[name] = bare, facade
    assert differences == {}
    assert {op.name for op in pair.router.seen} == {name.split()[0] for name in CALLS}, (
        "each method went through the router"
    )


async def test_a_write_bound_to_its_records_is_the_drivers(bound_pair: Pair) -> None:
    differences = {}
    for name, call in CALLS.items():
        await bound_pair.seed()
        bare, facade = await both(bound_pair, call)
        if bare != facade or await stored(bound_pair.bare) != await stored(bound_pair.raw):
            differences[name] = bare, facade
    assert differences == {}


async def test_every_cursor_is_the_drivers(pair: Pair) -> None:
    differences = {}
    for name, call in CURSORS.items():
        bare, facade = await both(pair, call)
        if bare != facade:
            differences[name] = bare, facade
    assert differences == {}
    assert {op.name for op in pair.router.seen} == {"find", "distinct"}


async def test_every_call_goes_directly_while_the_router_is_quiet(quiet_pair: Pair) -> None:
    differences = {}
    for name, call in {**CALLS, **CURSORS, **OTHERS}.items():
        await quiet_pair.seed()
        bare, facade = await both(quiet_pair, call)
        if bare != facade:
            differences[name] = bare, facade
    assert differences == {}
    assert quiet_pair.router.seen == []
    reads = (
        "find",
        "find_one",
        "count_documents",
        "distinct",
        "estimated_document_count",
        "options",
    )
    writes = [name for name in {**CALLS, **OTHERS} if name.split()[0] not in reads]
    assert quiet_pair.router.begun == len(quiet_pair.router.ended) == len(writes)
    assert any(quiet_pair.router.ended) and not all(quiet_pair.router.ended)


async def test_other_methods_are_counted_by_name(pair: Pair) -> None:
    differences = {}
    for name, call in OTHERS.items():
        await pair.seed()
        bare, facade = await both(pair, call)
        if bare != facade:
            differences[name] = bare, facade
    assert differences == {}
    assert pair.router.seen == [(name, name == "rename") for name in OTHERS]


async def test_the_caller_sees_the_id_in_its_document(pair: Pair) -> None:
    one: dict[str, Any] = {"a": 1}
    many: list[dict[str, Any]] = [{"a": 1}, {"_id": 50}]
    in_bulk: dict[str, Any] = {"a": 1}
    result = await pair.facade.insert_one(one)
    assert list(one) == ["a", "_id"] and one["_id"] == result.inserted_id
    inserted = await pair.facade.insert_many(many)
    assert inserted.inserted_ids == [document["_id"] for document in many]
    await pair.facade.bulk_write([pymongo.InsertOne(in_bulk)])
    assert await pair.raw.find_one({"_id": in_bulk["_id"]}) == in_bulk
    assert list(await pair.raw.find_one({"_id": one["_id"]})) == ["_id", "a"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_bulk_that_nobody_wants_to_hear_of_ends_at_an_error_as_the_drivers(pair: Pair, ordered: bool) -> None:
    requests = [
        InsertOne({"_id": "new"}),
        InsertOne({"_id": 1}),
        UpdateOne({"a": 1}, {"$set": {"b": 1}}),
        DeleteMany({}),
    ]
    left = []
    for collection, seen in ((pair.bare, pair.bare), (pair.facade, pair.raw)):
        careless = collection.with_options(write_concern=WriteConcern(w=0))
        assert not (await careless.bulk_write(list(requests), ordered=ordered)).acknowledged
        await asyncio.sleep(0.3)  # there is no other way to know that the server has done with it
        left.append(await seen.distinct("_id"))
    assert left[0] == left[1] and bool(left[0]) is ordered


@pytest.mark.parametrize("refused", [{"collation": {"locale": "en"}}, {"array_filters": [{"i": 1}]}])
async def test_an_unacknowledged_bulk_is_refused_as_by_the_driver(pair: Pair, refused: dict[str, Any]) -> None:
    options = {"write_concern": WriteConcern(w=0)}
    requests = [UpdateOne({"_id": 1}, {"$set": {"a.$[i]": 1}}, **refused)]
    careless = [each.with_options(**options) for each in (pair.bare, pair.facade)]
    found = [await outcome(partial(each.bulk_write, list(requests))) for each in careless]
    assert found[0] == found[1] and found[0][0] == "ConfigurationError"
