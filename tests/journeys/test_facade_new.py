"""The same calls on the bare driver and through a façade that PostgreSQL answers."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest

from tests.journeys.facade_calls import CALLS, CURSORS, SEED
from tests.journeys.facade_support import outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, both, pair_on_new, stored
from tests.journeys.runtime_support import until


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def test_every_routed_call_is_the_drivers(pair: Pair) -> None:
    differences = {}
    for name, call in CALLS.items():
        await pair.seed()
        bare, facade = await both(pair, call)
        records = await stored(pair.bare), await stored(pair.facade)
        if bare != facade or records[0] != records[1]:
            differences[name] = bare, facade, *(records if bare == facade else ())
    assert differences == {}


async def test_every_cursor_is_the_drivers(pair: Pair) -> None:
    await pair.seed()
    differences = {}
    for name, call in CURSORS.items():
        bare, facade = await both(pair, call)
        if bare != facade:
            differences[name] = bare, facade
    assert differences == {}
    assert all(len(opened.delivered) <= 1 for opened in pair.router.opened)


async def test_what_was_delivered_is_reported_once(pair: Pair) -> None:
    async def told() -> bool:  # not waited for where the loop is another thread's
        return bool(pair.router.opened[-1].delivered)

    await pair.seed()
    found = await pair.facade.find({}).sort("_id", 1).to_list(None)
    assert len(found) == len(SEED)
    await until(told, "what was delivered")
    assert [len(documents) for documents, _ in pair.router.opened[-1].delivered] == [len(SEED)]
    assert pair.router.opened[-1].delivered[0][1] is True
    cursor = pair.facade.find({}, batch_size=2).sort("_id", 1)
    assert (await cursor.next())["_id"] == 1
    await cursor.close()
    await until(told, "what was delivered")
    assert [(len(documents), complete) for documents, complete in pair.router.opened[-1].delivered] == [(2, False)]


async def test_a_long_result_comes_in_batches_and_ends(pair: Pair) -> None:
    await pair.facade.insert_many([{"_id": n} for n in range(350)])
    cursor = pair.facade.find({}).sort("_id", 1)
    assert [document["_id"] async for document in cursor] == list(range(350))
    assert not cursor.alive

    async def told() -> bool:
        return bool(pair.router.opened[-1].delivered)

    await until(told, "what was delivered")  # a synchronous cursor tells its loop, and does not wait
    assert pair.router.opened[-1].delivered[0][1] is True


async def test_an_error_of_new_ends_the_cursor(pair: Pair) -> None:
    cursor = pair.facade.find({"a": {"$bad": 1}})
    assert (await outcome(cursor.next))[:2] == ("OperationFailure", 2)


async def test_cursors_that_are_forgotten_give_back_their_connections(pair: Pair) -> None:
    await pair.facade.insert_many([{"_id": n} for n in range(10)])
    gc.disable()  # which might come, or not
    try:
        for _ in range(5):
            assert (await pair.facade.find({}, batch_size=2).sort("_id", 1).next())["_id"] == 0

        async def closed() -> bool:
            return all(opened.cursor.closed for opened in pair.router.opened)

        await until(closed, "the end of forgotten cursors")
    finally:
        gc.enable()
