"""Change streams, refused by name, and the end of databases, where a collection lives in PostgreSQL alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient as PlainClient
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener, CommandStartedEvent

from shadow.motor import AsyncIOMotorClient
from shadow.pymongo import AsyncMongoClient, MongoClient
from shadow_adapters.mongo.store import ARMED
from tests.journeys.runtime_support import ENTITY, Site, answered, running


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    await made.settled_in("new")
    return made


async def served(client: Any, site: Site) -> None:
    await answered(lambda: client[site.database][ENTITY].insert_one({}))


@pytest.mark.parametrize("level", ["collection", "database", "client"])
@pytest.mark.parametrize("client", [AsyncIOMotorClient, AsyncMongoClient])
async def test_a_stream_of_what_lives_in_new_is_refused(site: Site, client: Any, level: str) -> None:
    async with running(site):
        made = client(site.mongo)
        await served(made, site)
        async with PlainClient[Any](site.mongo) as bare:
            assert ENTITY not in await bare[site.database].list_collection_names()
        levels = {"client": made, "database": made[site.database], "collection": made[site.database][ENTITY]}

        async def watched() -> Any:
            stream = levels[level].watch()
            stream = await stream if hasattr(stream, "__await__") else stream
            async with stream:
                return await stream.next()

        with pytest.raises(OperationFailure, match="watch is not served by PostgreSQL") as raised:
            await asyncio.wait_for(watched(), 20)
        assert raised.value.code == 115
        closing = made.close()
        if closing is not None:
            await closing


@pytest.mark.parametrize("level", ["collection", "database", "client"])
async def test_a_synchronous_stream_of_what_lives_in_new_is_refused(site: Site, level: str) -> None:
    async with running(site), AsyncMongoClient[Any](site.mongo) as other:
        await served(other, site)
        with MongoClient[Any](site.mongo) as made:
            levels: dict[str, Any] = {
                "client": made,
                "database": made[site.database],
                "collection": made[site.database][ENTITY],
            }

            def watched() -> Any:
                with levels[level].watch() as stream:
                    return stream.next()

            with pytest.raises(OperationFailure, match="watch is not served by PostgreSQL") as raised:
                await asyncio.wait_for(asyncio.to_thread(watched), 20)
            assert raised.value.code == 115


@pytest.mark.parametrize("client", [AsyncIOMotorClient, AsyncMongoClient, MongoClient])
async def test_a_database_with_what_lives_in_new_is_dropped_piece_by_piece(site: Site, client: Any) -> None:
    """What PostgreSQL leads there, what nobody configured on MongoDB; what says where the authority is stays."""
    async with running(site), AsyncMongoClient[Any](site.mongo) as other, PlainClient[Any](site.mongo) as bare:
        await served(other, site)
        await bare[site.database]["plain"].insert_one({"_id": 1})
        before = set(await bare[site.database].list_collection_names())
        assert {ARMED, "plain"} <= before
        made = client(site.mongo)
        for target in (made[site.database], site.database):  # what is gone already may be dropped again
            dropping = made.drop_database(target)
            if dropping is not None:
                await dropping
        assert await other[site.database][ENTITY].count_documents({}) == 0
        assert await bare[site.database].list_collection_names() == [ARMED]
        await other[site.database][ENTITY].insert_one({"_id": "anew"})
        assert await other[site.database][ENTITY].count_documents({}) == 1
        closing = made.close()
        if closing is not None:
            await closing


class Heard(CommandListener):
    """The names of the commands that a client sends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


async def test_listeners_hear_of_a_clients_stream_alone(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> None:
    site = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await site.prepare()
    async with running(site):
        heard = Heard()
        async with AsyncMongoClient(site.mongo, event_listeners=[heard]) as client:
            await client[site.database][ENTITY].find_one({})
            heard.names.clear()
            async with await client.watch():
                assert heard.names == ["aggregate"]
