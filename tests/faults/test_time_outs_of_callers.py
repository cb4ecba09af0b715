"""Time-outs that a caller sets for its own call: what Shadow does on MongoDB after that call knows nothing of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

from shadow.pymongo import AsyncMongoClient, MongoClient
from shadow.runtime import Runtime
from tests.faults.proxy import TcpProxy
from tests.journeys.runtime_support import ENTITY, Site, answered, running, until

SHORT = 0.3
SLOW = 0.4
"""Seconds of a caller's time-out, and of one answer of MongoDB, which comes after it."""


@pytest.fixture
async def slow(mongo_uri: str) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(mongo_uri) as found:
        yield found


@pytest.fixture
async def site(tmp_path: Path, postgres_dsn: str, slow: TcpProxy) -> Site:
    made = Site(tmp_path, slow.uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


async def names_on_new(found: Runtime) -> set[str]:
    loop = await found.loop()
    async with loop.pool.connection() as conn:
        reply = await found.entities[ENTITY].engine.execute(conn, {"listIndexes": ENTITY})
    return {index["name"] for index in reply["cursor"]["firstBatch"]}


async def compared(found: Runtime, slow: TcpProxy, read: Any) -> None:
    """Reads under a time-out that has passed when MongoDB answers what they are compared with."""
    balance = found.entities[ENTITY].account.balance

    async def closed() -> bool:
        return balance().open == 0

    await until(closed, "the end of every comparison")
    before = balance()
    slow.delay(SLOW)
    for _ in range(3):
        await read()
        await until(closed, "the end of every comparison")
    after = balance()
    assert after.sampled == before.sampled + 3
    assert after.compared == after.sampled - before.sampled + before.compared, after


async def test_a_shadow_read_of_legacy_outlives_the_time_out_of_the_read(site: Site, slow: TcpProxy) -> None:
    await site.settled_in("read_new")
    async with running(site) as found, AsyncMongoClient[dict[str, Any]](site.mongo) as client:
        things = client[site.database][ENTITY]
        await answered(lambda: things.insert_one({"_id": 1, "n": 1}))
        await site.quiet()

        async def read() -> None:
            with pymongo.timeout(SHORT):
                assert await things.find_one({"n": 1}) == {"_id": 1, "n": 1}

        await compared(found, slow, read)


async def test_a_shadow_read_of_legacy_outlives_the_time_out_of_a_synchronous_read(site: Site, slow: TcpProxy) -> None:
    await site.settled_in("read_new")
    async with running(site) as found:
        with MongoClient[dict[str, Any]](site.mongo) as client:
            things = client[site.database][ENTITY]
            await answered(lambda: asyncio.to_thread(things.insert_one, {"_id": 1, "n": 1}))
            await site.quiet()

            def timed() -> Any:
                with pymongo.timeout(SHORT):
                    return things.find_one({"n": 1})

            async def read() -> None:
                assert await asyncio.to_thread(timed) == {"_id": 1, "n": 1}

            await compared(found, slow, read)


async def test_indexes_are_mirrored_after_the_time_out_of_the_write_that_began_it(
    site: Site, slow: TcpProxy, mongo_uri: str
) -> None:
    await site.settled_in("dual_write")
    async with pymongo.AsyncMongoClient[Any](mongo_uri) as bare:
        await bare[site.database][ENTITY].create_index("a")
    async with running(site) as found, AsyncMongoClient[dict[str, Any]](site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.find_one({"_id": 1})
        slow.delay(SLOW)
        with pymongo.timeout(SHORT), pytest.raises(PyMongoError) as raised:
            await things.insert_one({"_id": 1})
        assert raised.value.timeout

        async def mirrored() -> bool:
            return "a_1" in await names_on_new(found)

        await until(mirrored, "the index on PostgreSQL")
        slow.resume()
        await site.quiet()
        await site.equal()


async def test_an_index_follows_on_legacy_after_the_time_out_of_the_call_that_made_it(
    site: Site, slow: TcpProxy, mongo_uri: str
) -> None:
    await site.settled_in("write_new")
    async with running(site) as found, AsyncMongoClient[dict[str, Any]](site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.insert_one({"_id": 1, "a": 1})
        await site.quiet()
        slow.delay(SLOW)
        with pymongo.timeout(SHORT):
            assert await things.create_index("a") == "a_1"
        await asyncio.gather(*(await found.loop()).entities[ENTITY].alterations)
        async with pymongo.AsyncMongoClient[Any](mongo_uri) as bare:
            assert "a_1" in await bare[site.database][ENTITY].index_information()
