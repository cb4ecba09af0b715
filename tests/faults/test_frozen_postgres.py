"""PostgreSQL frozen where it is the authority: a call that was given a time ends in it, with the driver's exception."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import AutoReconnect, PyMongoError

from shadow.embedded import PostgresServer
from shadow.motor import AsyncIOMotorClient
from shadow.pymongo import AsyncMongoClient, MongoClient
from tests.journeys.runtime_support import ENTITY, Site, answered, running

GIVEN = 0.5
"""Seconds that a call is given."""
PATIENCE = 5.0
"""Seconds within which it ends, on a machine that is busy."""

Call = Callable[[Any], Awaitable[Any]]


async def _listed(cursor: Any) -> Any:
    return await cursor.to_list(None)


async def _aggregated(things: Any, **options: Any) -> Any:
    found = things.aggregate([{"$set": {"x": 1}}], **options)
    return await _listed(await found if asyncio.iscoroutine(found) else found)


CALLS: dict[str, Call] = {
    "find_one": lambda things: things.find_one({"n": 1}),
    "find_one by id": lambda things: things.find_one({"_id": 1}),
    "find": lambda things: _listed(things.find({})),
    "aggregate": _aggregated,
    "count_documents": lambda things: things.count_documents({}),
    "distinct": lambda things: things.distinct("n"),
    "insert_one": lambda things: things.insert_one({"_id": "new"}),
    "update_one": lambda things: things.update_one({"_id": 1}, {"$inc": {"n": 1}}),
    "update_many": lambda things: things.update_many({}, {"$inc": {"n": 1}}),
    "find_one_and_update": lambda things: things.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}),
    "delete_one": lambda things: things.delete_one({"_id": 2}),
    "create_index": lambda things: things.create_index("n"),
}
WITH_MAX_TIME: dict[str, Call] = {
    "find_one": lambda things: things.find_one({"n": 1}, max_time_ms=1000 * GIVEN),
    "find": lambda things: _listed(things.find({}).max_time_ms(int(1000 * GIVEN))),
    "aggregate": lambda things: _aggregated(things, maxTimeMS=1000 * GIVEN),
    "count_documents": lambda things: things.count_documents({}, maxTimeMS=1000 * GIVEN),
    "distinct": lambda things: things.distinct("n", maxTimeMS=1000 * GIVEN),
    "find_one_and_update": lambda things: things.find_one_and_update(
        {"_id": 1}, {"$inc": {"n": 1}}, maxTimeMS=1000 * GIVEN
    ),
    "command": lambda things: things.database.command("count", ENTITY, maxTimeMS=1000 * GIVEN),
}


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, own_postgres: PostgresServer) -> Site:
    made = Site(tmp_path, mongo_uri, own_postgres.dsn, own_postgres.dsn, protocol={"lease_seconds": 60.0})
    await made.prepare()
    await made.settled_in("write_new")
    return made


@asynccontextmanager
async def frozen(server: PostgresServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.pause)
    try:
        yield
    finally:
        await asyncio.to_thread(server.resume)


async def ends(call: Awaitable[Any], least: float = GIVEN) -> None:
    """The call ends in its time, as the driver ends it."""
    began = time.monotonic()
    with pytest.raises(PyMongoError) as raised:
        await asyncio.wait_for(call, 30)
    assert raised.value.timeout, repr(raised.value)
    assert 0.8 * least <= time.monotonic() - began < PATIENCE


async def filled(site: Site, client: Any) -> Any:
    things = client[site.database][ENTITY]
    await answered(lambda: things.delete_many({}))
    await things.insert_many([{"_id": n, "n": n} for n in range(3)])
    return things


async def all_well(site: Site, things: Any) -> None:
    """Whatever became of the writes, both stores agree on it, and calls are served."""
    assert await things.count_documents({}) >= 2
    await things.insert_one({"_id": "after"})
    assert await things.find_one({"_id": "after"}) == {"_id": "after"}
    await site.quiet()
    await site.equal()


@pytest.mark.parametrize("client", [AsyncMongoClient, AsyncIOMotorClient])
async def test_a_call_ends_with_the_time_out_around_it(site: Site, own_postgres: PostgresServer, client: Any) -> None:
    async with running(site):
        made = client(site.mongo)
        things = await filled(site, made)
        async with frozen(own_postgres):
            for call in CALLS.values():
                with pymongo.timeout(GIVEN):
                    await ends(call(things))
        await all_well(site, things)
        await (made.close() or _nothing())


async def test_a_cursor_ends_where_mongodb_is_the_authority(
    tmp_path: Path, mongo_uri: str, own_postgres: PostgresServer
) -> None:
    """One that has all of its answer delivers it; another is cut off when the process's lease has lapsed."""
    site = Site(tmp_path, mongo_uri, own_postgres.dsn, own_postgres.dsn)
    await site.prepare()
    await site.settled_in("read_new")
    async with running(site), AsyncMongoClient[Any](site.mongo) as made:
        things = made[site.database][ENTITY]
        await answered(lambda: things.insert_many([{"_id": n} for n in range(1000)]))
        await site.quiet()
        short, long = things.find({"_id": {"$lt": 10}}), things.find({})
        first = await short.next(), await long.next()
        assert first[0]["_id"] < 10
        async with frozen(own_postgres):
            assert len(await asyncio.wait_for(short.to_list(None), PATIENCE)) == 9
            with pytest.raises(AutoReconnect):
                await asyncio.wait_for(long.to_list(None), 30)
            assert len(await things.find({}).to_list(None)) == 1000
        await site.quiet()


CANCELLED: dict[str, Call] = {
    **CALLS,
    "find in batches": lambda things: _listed(things.find({}, batch_size=2)),
    "find sorted": lambda things: _listed(things.find({}).sort("n")),
}


@pytest.mark.parametrize("client", [AsyncMongoClient, AsyncIOMotorClient])
async def test_a_call_that_its_caller_gives_up_ends_at_once(
    site: Site, own_postgres: PostgresServer, client: Any
) -> None:
    async with running(site):
        made = client(site.mongo)
        things = await filled(site, made)
        async with frozen(own_postgres):
            for name, call in CANCELLED.items():
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(call(things), GIVEN)
                assert time.monotonic() - began < PATIENCE, name
        await all_well(site, things)
        await (made.close() or _nothing())


async def test_what_was_given_up_keeps_no_connection(site: Site, own_postgres: PostgresServer) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as made:
        things = await filled(site, made)
        await things.insert_many([{"_id": n, "n": n} for n in range(10, 1000)])
        begun = [things.find({}) for _ in range(5)]
        for cursor in begun:
            await cursor.next()
        fresh = [things.find({}) for _ in range(12)]  # more than there are connections
        async with frozen(own_postgres):
            for cursor in [*begun, *fresh]:
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(cursor.to_list(None), 0.2)
                assert time.monotonic() - began < PATIENCE
        await asyncio.wait_for(all_well(site, things), 60)
        assert not any(cursor.alive for cursor in begun)


async def _nothing() -> None:
    pass


async def test_a_call_ends_with_its_max_time(site: Site, own_postgres: PostgresServer) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as made:
        things = await filled(site, made)
        async with frozen(own_postgres):
            for call in WITH_MAX_TIME.values():
                await ends(call(things))
        await all_well(site, things)


@pytest.mark.parametrize("option", ["timeoutMS", "socketTimeoutMS"])
async def test_a_call_ends_with_the_clients_time_out(site: Site, own_postgres: PostgresServer, option: str) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as patient:
        await filled(site, patient)
        async with AsyncMongoClient[Any](site.mongo, **{option: int(1000 * GIVEN)}) as made:
            things = made[site.database][ENTITY]
            async with frozen(own_postgres):
                for call in CALLS.values():
                    await ends(call(things))
        await all_well(site, patient[site.database][ENTITY])


async def test_a_synchronous_call_ends_in_its_time(site: Site, own_postgres: PostgresServer) -> None:
    calls: list[tuple[Callable[[Any], Any], Any]] = [
        (lambda things: things.find_one({"n": 1}), pymongo.timeout(GIVEN)),
        (lambda things: list(things.find({})), pymongo.timeout(GIVEN)),
        (lambda things: things.insert_one({"_id": "new"}), pymongo.timeout(GIVEN)),
        (lambda things: list(things.aggregate([{"$set": {"x": 1}}], maxTimeMS=1000 * GIVEN)), nullcontext()),
    ]
    async with running(site), AsyncMongoClient[Any](site.mongo) as patient:
        await filled(site, patient)
        with MongoClient[Any](site.mongo) as made:
            things = made[site.database][ENTITY]
            await asyncio.to_thread(things.find_one)

            def timed(call: Any, given: Any) -> None:
                with given:
                    call(things)

            async with frozen(own_postgres):
                for call, given in calls:
                    await ends(asyncio.to_thread(timed, call, given))
        await all_well(site, patient[site.database][ENTITY])


async def test_a_cursor_and_a_transaction_end_in_their_time(site: Site, own_postgres: PostgresServer) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as made:
        things = await filled(site, made)
        await things.insert_many([{"_id": f"more {n}"} for n in range(500)])
        cursor = things.find({}, batch_size=250)
        for _ in range(250):
            await cursor.next()
        async with made.start_session() as session, made.start_session() as another:
            await session.start_transaction()
            await things.insert_one({"_id": "in a transaction"}, session=session)
            await another.start_transaction()
            await things.insert_one({"_id": "in another one"}, session=another)
            async with frozen(own_postgres):
                with pymongo.timeout(GIVEN):
                    await ends(_listed(cursor))
                with pymongo.timeout(GIVEN):
                    await ends(things.insert_one({"_id": "more"}, session=session))
                with pymongo.timeout(GIVEN):
                    await ends(another.commit_transaction())
                with pymongo.timeout(GIVEN):
                    await asyncio.wait_for(session.abort_transaction(), 30)
        await all_well(site, things)
        assert await things.find_one({"_id": "in a transaction"}) is None


async def test_a_call_whose_time_is_up_before_it_begins_does_nothing(site: Site) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as made:
        things = await filled(site, made)
        with pymongo.timeout(0.001):
            await asyncio.sleep(0.01)
            await ends(things.insert_one({"_id": "late"}), 0.0)
            await ends(things.find_one({"_id": 1}), 0.0)
            await ends(_listed(things.find({})), 0.0)
        assert await things.find_one({"_id": "late"}) is None
        await all_well(site, things)
