"""A session that the driver would not take, on a façade that PostgreSQL answers: nothing is sent to MongoDB then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pymongo import InsertOne

from tests.journeys.facade_support import outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, both, pair_on_new, stored

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "aggregate": lambda c, s: _all(c.aggregate([], session=s)),
    "bulk_write": lambda c, s: c.bulk_write([InsertOne({"_id": 10})], session=s),
    "count_documents": lambda c, s: c.count_documents({}, session=s),
    "create_index": lambda c, s: c.create_index("a", session=s),
    "delete_many": lambda c, s: c.delete_many({}, session=s),
    "distinct": lambda c, s: c.distinct("a", session=s),
    "drop": lambda c, s: c.drop(session=s),
    "drop_indexes": lambda c, s: c.drop_indexes(session=s),
    "find": lambda c, s: c.find({}, session=s).to_list(None),
    "find_one": lambda c, s: c.find_one({}, session=s),
    "find_one_and_delete": lambda c, s: c.find_one_and_delete({}, session=s),
    "index_information": lambda c, s: c.index_information(session=s),
    "insert_many": lambda c, s: c.insert_many([{"_id": 10}], session=s),
    "insert_one": lambda c, s: c.insert_one({"_id": 10}, session=s),
    "replace_one": lambda c, s: c.replace_one({}, {"a": 10}, session=s),
    "update_one": lambda c, s: c.update_one({}, {"$set": {"a": 10}}, session=s),
}


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        await made.seed()
        yield made


async def _all(cursor: Any) -> Any:
    found = await cursor if hasattr(cursor, "__await__") else cursor
    return await found.to_list(None)


async def session_of(client: Any) -> Any:
    session = client.start_session()
    return await session if hasattr(session, "__await__") else session


async def differences(pair: Pair, bare: Any, facade: Any) -> dict[str, Any]:
    """The calls that end otherwise than the bare driver's, which takes none of them."""
    found = {}
    before = await stored(pair.facade)
    for name, call in CALLS.items():
        told = (
            await outcome(lambda call=call: call(pair.bare, bare)),
            await outcome(lambda call=call: call(pair.facade, facade)),
        )
        if told[0] != told[1] or await stored(pair.facade) != before:
            found[name] = told
    return found


async def test_an_ended_session_is_refused(pair: Pair) -> None:
    sessions = [await session_of(client) for client in pair.clients]
    for session in sessions:
        await session.end_session()
    assert await differences(pair, *sessions) == {}


async def test_a_session_of_another_client_is_refused(pair: Pair) -> None:
    sessions = [await session_of(client) for client in reversed(pair.clients)]
    assert await differences(pair, *sessions) == {}


async def test_what_is_no_session_is_refused(pair: Pair) -> None:
    told = await both(pair, lambda c: c.drop(session="x"))
    assert told[0] == told[1] and told[0][0] == "ValueError"
    # The driver stumbles over an attribute of it in many methods, and so do its cursors here, which cannot be closed.
    for name in CALLS.keys() - {"find"}:
        assert await outcome(lambda name=name: CALLS[name](pair.facade, "x")) == told[1], name


async def test_a_session_that_is_in_use_is_taken(pair: Pair) -> None:
    session = await session_of(pair.clients[1])
    assert await pair.facade.count_documents({}, session=session) == 4
    await pair.facade.insert_one({"_id": 10}, session=session)
    assert await pair.facade.find_one({"_id": 10}, session=session) == {"_id": 10}
    await session.end_session()
