"""Transactions through a façade: the driver's sessions, with a unit that begins and ends with each transaction."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.errors import InvalidOperation

from tests.journeys.facade_support import LegacyRouter, QuietRouter
from tests.journeys.facade_worlds import CLIENTS, Pair, pair_on


@pytest.fixture(params=[LegacyRouter, QuietRouter])
def router(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str, router: Any) -> Any:
    async with pair_on(request.param, mongo_uri, router) as made:
        yield made


async def begun(session: Any) -> Any:
    """The transaction's context: a coroutine gives it in PyMongo, a call in Motor."""
    context = session.start_transaction()
    return context if hasattr(context, "__aenter__") else await context


async def opened(client: Any) -> Any:
    session = client.start_session()
    return await session if hasattr(session, "__await__") else session


async def test_a_transaction_commits_with_its_unit(pair: Pair) -> None:
    async with await opened(pair.clients[1]) as session:
        async with await begun(session):
            await pair.facade.insert_one({"_id": 100}, session=session)
            assert await pair.facade.find_one({"_id": 100}, session=session) == {"_id": 100}
            assert await pair.facade.find({"_id": 100}, session=session).to_list(None) == [{"_id": 100}]
            assert await pair.raw.find_one({"_id": 100}) is None
        unit = pair.binding.units[-1]
        assert unit.ended == ["commit"] and not session.in_transaction
    assert await pair.raw.find_one({"_id": 100}) == {"_id": 100}
    assert len(pair.binding.units) == 1
    assert [op.unit is unit for op in pair.router.seen] == [True] * 3, "all of it goes through the router, quiet or not"


async def test_a_transaction_that_fails_aborts_its_unit(pair: Pair) -> None:
    async with await opened(pair.clients[1]) as session:
        with pytest.raises(ZeroDivisionError):
            async with await begun(session):
                await pair.facade.insert_one({"_id": 100}, None, session)
                raise ZeroDivisionError
    assert pair.binding.units[-1].ended == ["abort"]
    assert await pair.raw.find_one({"_id": 100}) is None
    assert pair.router.seen[0].unit is pair.binding.units[-1]


async def test_a_session_that_ends_early_aborts_its_unit(pair: Pair) -> None:
    async with await opened(pair.clients[1]) as session:
        await begun(session)
        await pair.facade.update_one({"_id": 1}, {"$set": {"a": 100}}, session=session)
    assert pair.binding.units[-1].ended == ["abort"]
    assert (await pair.raw.find_one({"_id": 1}))["a"] == 1


async def test_with_transaction_runs_a_callback(pair: Pair) -> None:
    async def work(session: Any) -> str:
        await pair.facade.delete_one({"_id": 1}, session=session)
        return "done"

    async with await opened(pair.clients[1]) as session:
        assert await session.with_transaction(work) == "done"
    assert pair.binding.units[-1].ended == ["commit"]
    assert await pair.raw.find_one({"_id": 1}) is None


async def test_a_session_without_a_transaction_has_no_unit(pair: Pair) -> None:
    async with await opened(pair.clients[1]) as session:
        await pair.facade.insert_one({"_id": 100}, session=session)
    assert pair.binding.units == []
    assert [op.unit for op in pair.router.seen] == [None] * len(pair.router.seen)


async def test_mistakes_are_the_drivers(pair: Pair) -> None:
    async with await opened(pair.clients[1]) as session:
        with pytest.raises(InvalidOperation, match="No transaction started"):
            await session.commit_transaction()
        with pytest.raises(InvalidOperation, match="No transaction started"):
            await session.abort_transaction()
        async with await begun(session):
            with pytest.raises(InvalidOperation, match="already in progress"):
                await begun(session)


async def test_a_session_bound_to_the_context_has_its_unit(pair: Pair) -> None:
    session = await opened(pair.clients[1])
    if not hasattr(session, "bind"):
        pytest.skip("the driver has no bound sessions")
    async with session.bind(), await session.start_transaction():
        await pair.facade.insert_one({"_id": 100})
    assert pair.binding.units[-1].ended == ["commit"]
    assert [op.unit for op in pair.router.seen] == [pair.binding.units[-1]]


async def test_end_session_aborts_the_unit(pair: Pair) -> None:
    session = await opened(pair.clients[1])
    await begun(session)
    await pair.facade.delete_one({"_id": 1}, session=session)
    await session.end_session()
    assert pair.binding.units[-1].ended == ["abort"]
    assert session.has_ended
    assert await pair.raw.find_one({"_id": 1}) is not None
