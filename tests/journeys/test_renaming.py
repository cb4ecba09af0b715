"""A rename of a configured collection, and onto one: recorded on every entity that it changes, or refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.collection import AsyncCollection as DriverCollection
from pymongo.errors import OperationFailure

from shadow.pymongo import AsyncMongoClient
from tests.journeys.runtime_support import ENTITY, Site, answered, running


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


@asynccontextmanager
async def served(site: Site, phase: str) -> AsyncIterator[Any]:
    """A database of the façade, whose configured collection is settled in a phase and holds three records."""
    await site.settled_in(phase)
    async with running(site), AsyncMongoClient[Any](site.mongo) as client:
        database = client[site.database]
        await answered(lambda: database[ENTITY].delete_many({}))
        await database[ENTITY].insert_many([{"_id": n} for n in range(3)])
        await site.quiet()
        yield database


@pytest.mark.parametrize("phase", ["dual_write", "read_new"])
async def test_a_rename_away_and_back_leaves_the_stores_equal(site: Site, phase: str) -> None:
    async with served(site, phase) as database:
        await database[ENTITY].rename("elsewhere")
        await site.quiet()
        assert await site.equal() == {}
        assert await database[ENTITY].count_documents({}) == 0
        names = [f"{site.database}.elsewhere", f"{site.database}.{ENTITY}"]
        await database.client.admin.command("renameCollection", names[0], to=names[1], dropTarget=True)
        assert await database[ENTITY].count_documents({}) == 3
        await site.quiet()
        assert len(await site.equal()) == 3


@pytest.mark.parametrize("phase", ["write_new", "new"])
async def test_a_rename_of_what_new_leads_is_refused_by_name(site: Site, phase: str) -> None:
    async with served(site, phase) as database:
        await database["other"].insert_one({"_id": 7})
        names = [f"{site.database}.other", f"{site.database}.{ENTITY}"]
        calls = [
            lambda: database[ENTITY].rename("elsewhere"),
            lambda: database.client.admin.command("renameCollection", names[0], to=names[1], dropTarget=True),
            lambda: database.client.admin.command("renameCollection", names[1], to=names[0], dropTarget=True),
        ]
        for call in calls:
            with pytest.raises(OperationFailure, match=f"not served by PostgreSQL yet, and {ENTITY} is in") as raised:
                await call()
            assert raised.value.code == 115
        assert await database[ENTITY].count_documents({}) == 3
        assert await database["other"].count_documents({}) == 1


async def test_a_rename_by_the_drivers_own_object_passes_by_and_is_found_by_a_verify(site: Site) -> None:
    """What is not configured is the driver's own object: nothing of Shadow's stands in the way of its methods."""
    async with served(site, "dual_write") as database:
        await database["other"].insert_one({"_id": 7})
        assert type(database["other"]) is DriverCollection
        await database["other"].rename(ENTITY, dropTarget=True)
        await site.told("verify", ENTITY)
        await site.quiet()
        assert len(await site.equal()) == 1
