"""Documents that a TTL index lets expire go from new, and from legacy after it, where new is the authority."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient as BareClient

from shadow.pymongo import AsyncMongoClient
from shadow.runtime import Runtime
from shadow.runtime.expiry import expire
from tests.journeys.runtime_support import ENTITY, Site, running, until


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


async def test_expired_documents_go_from_both_stores(site: Site) -> None:
    now = datetime.now(UTC)
    ages: list[Any] = [now - timedelta(hours=2), now, [now, now - timedelta(hours=3)], "no date", None]
    await site.settled_in("write_new")
    async with running(site) as found, AsyncMongoClient[Any](site.mongo) as client, BareClient[Any](site.mongo) as bare:
        things = client[site.database][ENTITY]
        await things.insert_many([{"_id": number, "at": at} for number, at in enumerate(ages)])
        await _index(found, {"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 3600})
        assert await _in_control(found, _expire(found)) == 2
        left = [document["_id"] async for document in things.find({}).sort("_id", 1)]
        assert left == [1, 3, 4]

        async def gone() -> bool:
            return await bare[site.database][ENTITY].count_documents({}) == 3

        await until(gone, "the end of what expired on legacy", site.status)


async def _expire(found: Runtime) -> int:
    view = found.control.node.views[ENTITY]
    return await expire(found.entities[ENTITY], view, found.control._pool, time.time())


async def _index(found: Runtime, spec: dict[str, Any]) -> None:
    async def create() -> Any:
        engine = found.entities[ENTITY].engine
        async with found.control._pool.connection() as conn:
            return await engine.execute(conn, {"createIndexes": ENTITY, "indexes": [spec]})

    assert (await _in_control(found, create()))["ok"] == 1.0


async def _in_control(found: Runtime, work: Any) -> Any:
    assert found.control.loop is not None
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, found.control.loop))
