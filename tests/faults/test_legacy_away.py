"""MongoDB is away while PostgreSQL is the authority: what was altered meanwhile is altered there when it is back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient as DriverClient

from shadow.embedded import MongoServer
from shadow.pymongo import AsyncMongoClient
from tests.faults.proxy import TcpProxy
from tests.journeys.runtime_support import ENTITY, Site, answered, running, until

_IMPATIENT = "serverSelectionTimeoutMS=300"


async def test_indexes_follow_in_their_order_when_it_is_back(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> None:
    async with TcpProxy(mongo_uri) as proxy:
        uri = f"{proxy.uri}&{_IMPATIENT}" if "?" in proxy.uri else f"{proxy.uri}?{_IMPATIENT}"
        site = Site(tmp_path, uri, postgres_dsn, postgres_dsn)
        await site.prepare()
        await site.settled_in("write_new")
        async with running(site) as found, AsyncMongoClient(site.mongo) as client:
            things = client[site.database][ENTITY]
            await answered(lambda: things.insert_one({"_id": 1, "a": 1}))
            await site.quiet()
            proxy.cut()
            await things.create_index("a", name="first")
            await things.create_index("b", name="second", unique=True)
            await things.drop_index("first")
            await asyncio.sleep(1.0)  # several of its time-outs
            assert set(await things.index_information()) == {"_id_", "second"}
            proxy.resume()
            async with DriverClient[dict[str, Any]](mongo_uri) as driver:
                legacy = driver.get_default_database()[ENTITY]

                async def followed() -> bool:
                    return set(await legacy.index_information()) == {"_id_", "second"}

                await until(followed, "the index on legacy", site.status)
                assert (await legacy.index_information())["second"]["unique"] is True
            assert found.entities[ENTITY].unsupported == {}


def test_a_loop_ends_soon_all_the_same(tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str) -> None:
    """Shadow's own client says goodbye to its sessions, and the driver would look for a server for half a minute."""

    async def application() -> float:
        site = Site(tmp_path, own_mongo.uri_for("away"), postgres_dsn, postgres_dsn)
        await site.prepare()
        await site.settled_in("write_new")
        async with running(site), AsyncMongoClient[Any](site.mongo) as client:
            things = client[site.database][ENTITY]
            await answered(lambda: things.insert_one({"_id": 1}))
            await site.quiet()
        await asyncio.to_thread(own_mongo.kill)
        return time.monotonic()

    began = asyncio.run(application())
    assert time.monotonic() - began < 15
