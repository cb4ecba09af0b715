"""Bad input through the façade: each gets an error or a mark that names the thing; nothing is lost, cut or dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError, WriteError

from shadow.embedded import MongoServer
from shadow.pymongo import AsyncMongoClient
from shadow_adapters.bson.keys import key_of
from tests.journeys.runtime_support import ENTITY, Site, running, until

PHASES = ["dual_write", "shadow_read", "read_new", "write_new"]
TRIED = ["dual_write", "read_new", "write_new"]


@pytest.fixture
async def site(tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str, request: pytest.FixtureRequest) -> Site:
    """On a MongoDB of its own: large documents are what the stand-in, once it is full of others, may choke on."""
    mongo_uri = own_mongo.uri_for("bad")
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn, table=getattr(request, "param", "") == "table")
    await made.prepare()
    with MongoClient[dict[str, object]](mongo_uri) as client:
        client[made.database][ENTITY].insert_many([{"_id": ObjectId(), "name": f"old {n}"} for n in range(20)])
    return made


@asynccontextmanager
async def in_phase(site: Site, phase: str) -> AsyncIterator[Any]:
    """The façade's collection, in a phase."""
    async with running(site), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.find_one({})
        for each in PHASES[: PHASES.index(phase) + 1]:
            site.want(each)
            reading = asyncio.create_task(_read(things))
            await site.reached(each)
            reading.cancel()
            if each == "dual_write":
                await site.backfilled()
        yield things


async def _read(things: Any) -> None:
    """Reads for the gate that asks for comparisons."""
    while True:
        await things.find_one({"name": "old 1"})
        await asyncio.sleep(0.02)


def nested(depth: int) -> dict[str, Any]:
    """A document of so many levels."""
    found: dict[str, Any] = {}
    for _ in range(depth - 1):
        found = {"a": found}
    return found


ODD: dict[str, Callable[[], dict[str, Any]]] = {
    "U+0000 in a text": lambda: {"name": "a\0b"},
    "NaN": lambda: {"name": "x", "model_config": {"t": float("nan")}, "autonomy_level": float("nan")},
    "infinity": lambda: {"name": "x", "model_config": {"t": float("-inf")}},
    "almost 16 MB": lambda: {"name": "x", "description": "d" * (16 * 1024 * 1024 - 200)},
    "100 levels": lambda: {"name": "x", **nested(99)},
}


@pytest.mark.parametrize("phase", TRIED)
@pytest.mark.parametrize("site", ["documents", "table"], indirect=True)
async def test_what_legacy_holds_arrives_whole_or_is_refused_by_name(site: Site, phase: str) -> None:
    async with in_phase(site, phase) as things:
        for what, make in ODD.items():
            document = {"_id": ObjectId(), **make()}
            key = key_of(document["_id"])
            try:
                await things.insert_one(document)
            except PyMongoError as error:
                assert phase == "write_new" and getattr(error, "code", None), f"{what}: {error!r}"
                assert await things.find_one({"_id": document["_id"]}) is None
                print(f"{phase}: {what} is refused: {str(error)[:100]}")
                continue
            assert repr(await things.find_one({"_id": document["_id"]})) == repr(document), what
            await site.quiet()
            legacy, new = await site.stores()
            refused = (await site.open_marks()).get(key)
            assert legacy.get(key) == new.get(key) or refused, what
            print(f"{phase}: {what} {'is refused: ' + refused if refused else 'is in both stores'}")


@pytest.mark.parametrize("phase", TRIED)
@pytest.mark.parametrize("site", ["documents", "table"], indirect=True)
async def test_what_mongodb_refuses_is_refused_in_every_phase_and_leaves_nothing(site: Site, phase: str) -> None:
    async with in_phase(site, phase) as things:
        with pytest.raises((DocumentTooLarge, OperationFailure)):
            await things.insert_one({"_id": ObjectId(), "name": "x", "description": "d" * (17 * 1024 * 1024)})
        with pytest.raises(OperationFailure, match=r"\$foo") as refusal:
            await things.find_one({"name": {"$foo": 1}})
        assert refusal.value.code == 2
        with pytest.raises(OperationFailure, match=r"\$foo") as refusal:
            await things.update_one({"name": {"$foo": 1}}, {"$set": {"name": "y"}})
        assert refusal.value.code == 2
        with pytest.raises(OperationFailure, match=r"\$bar"):
            await things.update_one({"name": "old 1"}, {"$bar": {"name": "y"}})
        await site.quiet()
        assert len(await site.equal()) == 20
        assert await site.open_marks() == {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a text that is too long": ({"_id": ObjectId(), "name": "n" * 256}, "name"),
    "a required column without a value": ({"_id": ObjectId(), "description": "no name"}, "name"),
    "an _id of another type": ({"_id": "a text", "name": "x"}, "id"),
}


@pytest.mark.parametrize("phase", ["dual_write", "read_new"])
@pytest.mark.parametrize("site", ["table"], indirect=True)
@pytest.mark.parametrize("what", REFUSED)
async def test_a_record_that_the_table_refuses_stays_in_legacy_and_marked(site: Site, phase: str, what: str) -> None:
    document, named = REFUSED[what]
    key = key_of(document["_id"])
    async with in_phase(site, phase) as things:
        await things.insert_one(document)
        assert await things.find_one({"_id": document["_id"]}) == document

        async def refused() -> bool:
            return bool((await site.open_marks()).get(key))

        await until(refused, "the refusal", site.status)
        reason = (await site.open_marks())[key] or ""
        assert named in reason, reason
        assert str(document["_id"]) not in reason and "nnn" not in reason
        legacy, new = await site.stores()
        assert key in legacy and key not in new
        (entity,) = json.loads(await site.told("status", "--json"))["entities"]
        assert entity["burden"]["refused"] == 1
        assert await things.find_one({"_id": document["_id"]}) == document
        print(f"{phase}: {what} is refused: {reason}")

        await things.delete_one({"_id": document["_id"]})

        async def over() -> bool:
            return await site.open_marks() == {}

        await until(over, "the end of the refusal", site.status)
        await site.equal()


@pytest.mark.parametrize("site", ["table"], indirect=True)
async def test_where_new_is_the_authority_the_caller_gets_mongodbs_write_error(site: Site) -> None:
    async with in_phase(site, "write_new") as things:
        for what, (document, named) in REFUSED.items():
            with pytest.raises(WriteError, match=named) as error:
                await things.insert_one(dict(document))
            assert error.value.code == 121, what
            assert await things.find_one({"_id": document["_id"]}) is None
        with pytest.raises(WriteError) as error:
            await things.update_one({"name": "old 1"}, {"$set": {"name": "n" * 256}})
        assert error.value.code == 121
        assert await things.count_documents({"name": "old 1"}) == 1
        await site.quiet()
        assert len(await site.equal()) == 20
