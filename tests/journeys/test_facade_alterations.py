"""Indexes made, dropped and listed, collections dropped and made: alike on the bare driver and through a façade."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo.collation import Collation
from pymongo.errors import CollectionInvalid, OperationFailure

from shadow import runtime
from shadow_adapters.bson.codec import decode
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts import layout_for
from tests.journeys.facade_alterations import ALTERATIONS
from tests.journeys.facade_calls import SEED
from tests.journeys.facade_support import LegacyRouter, QuietRouter
from tests.journeys.facade_worlds import CLIENTS, Pair, World, both, pair_on_new, stored, world_of
from tests.journeys.runtime_support import until

FOLLOWED = ("dual_write", "shadow_read", "read_new")

ROUTERS = {"legacy": LegacyRouter, "quiet": QuietRouter}


NOTHING = {"_id_": {"v": 2, "key": [("_id", 1)]}}
"""The indexes of no collection: new, whose table is there from the start, takes it for an empty one."""


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def differences(pair: Pair) -> dict[str, Any]:
    found = {}
    for name, call in ALTERATIONS.items():
        for collection in (pair.bare, pair.shown):
            await collection.drop()
            await collection.insert_many(copy.deepcopy(SEED))
        ours = await both(pair, call)
        left = [(await stored(c), await c.index_information() or NOTHING) for c in (pair.bare, pair.shown)]
        if ours[0] != ours[1] or left[0] != left[1]:
            found[name] = *ours, *(left if left[0] != left[1] else ())
    return found


@pytest.mark.parametrize("shape", CLIENTS)
@pytest.mark.parametrize("router", ROUTERS)
async def test_every_alteration_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    assert await differences(pair) == {}
    assert {op.name for op in pair.router.seen} == (set() if router == "quiet" else ROUTED)
    await pair.close()


ROUTED = {
    "create_index",
    "create_indexes",
    "drop_index",
    "drop_indexes",
    "index_information",
    "list_indexes",
    "createIndexes",
    "dropIndexes",
    "listIndexes",
    "drop",
    "create_collection",
}


async def test_every_alteration_is_the_drivers_on_new(on_new: Pair) -> None:
    assert await differences(on_new) == {}
    assert on_new.router.others == []


@pytest.fixture(params=["motor", "pymongo"])
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path) as made:
        yield made


async def on_postgres(dsn: str, phase: str, command: dict[str, Any]) -> dict[str, Any]:
    """What new itself answers, past Shadow's router."""
    layout = layout_for(
        f"in_{phase}", layout="documents", table=f"shadow_documents.in_{phase}", id_column="id", columns={}
    )
    conn = await asyncpg.connect(dsn)
    try:
        return await Engine(f"in_{phase}", f"d.{phase}", layout).execute(conn, command)
    finally:
        await conn.close()


@pytest.mark.parametrize("phase", FOLLOWED)
async def test_new_has_legacys_indexes_soon(world: World, postgres_dsn: str, phase: str) -> None:
    """Those made before Shadow, those made through it, and no more those dropped; what new cannot have is named."""
    legacy, facade = world.plain(phase), world.pair(phase)[1]
    await legacy.create_index("before")
    await facade.insert_one({"_id": 1, "a": 1})

    async def new_has(*names: str) -> bool:
        reply = await on_postgres(postgres_dsn, phase, {"listIndexes": phase})
        return {index["name"] for index in reply["cursor"]["firstBatch"]} == {"_id_", *names}

    await until(lambda: new_has("before_1"), "the index that was there before")
    await facade.create_index([("a", -1)], unique=True, name="one_a")
    await facade.create_index([("where", "2dsphere")])
    await facade.create_index("name", name="name", collation=Collation("en", strength=2))
    await until(lambda: new_has("before_1", "one_a", "name"), "the indexes made through Shadow")
    before = await _numbers(postgres_dsn, phase)
    await facade.drop_index("before_1")
    await until(lambda: new_has("one_a", "name"), "the end of the dropped index")
    assert before.items() >= (await _numbers(postgres_dsn, phase)).items(), "the others were not made anew"
    assert set(await legacy.index_information()) == {"_id_", "one_a", "name", "where_2dsphere"}
    entity = runtime.current().entities[f"in_{phase}"]
    await until(lambda: _named(entity, "index 2dsphere"), "the name of what new does not serve")
    assert "create_index" not in entity.unsupported


async def _numbers(dsn: str, phase: str) -> dict[str, int]:
    """Each index and its number, which none ever has again."""
    conn = await asyncpg.connect(dsn)
    try:
        rows = await conn.fetch(f'SELECT number, spec FROM shadow_documents."in_{phase}$index" WHERE ready')
    finally:
        await conn.close()
    return {name: row[0] for row in rows if (name := decode(row[1]).get("name"))}


async def _named(entity: Any, name: str) -> bool:
    return name in entity.unsupported


@pytest.mark.parametrize("phase", FOLLOWED)
async def test_a_dropped_collection_is_empty_on_new_soon(world: World, postgres_dsn: str, phase: str) -> None:
    facade = world.pair(phase)[1]
    await facade.insert_many([{"_id": n} for n in range(20)])
    await facade.create_index("a")
    await facade.drop()
    await facade.insert_one({"_id": "later"})

    async def new_is_equal() -> bool:
        found = await on_postgres(postgres_dsn, phase, {"find": phase, "filter": {}})
        indexes = await on_postgres(postgres_dsn, phase, {"listIndexes": phase})
        return [found["cursor"]["firstBatch"], len(indexes["cursor"]["firstBatch"])] == [[{"_id": "later"}], 1]

    await until(new_is_equal, "the drop on new")
    assert runtime.current().entities[f"in_{phase}"].unsupported == {}


async def test_legacy_follows_new(world: World) -> None:
    """Records go by their marks, newer ones stay; indexes are made and dropped as on new."""
    legacy, facade = world.plain("write_new"), world.pair("write_new")[1]
    await facade.insert_many([{"_id": n} for n in range(20)])
    await facade.create_index("a")

    async def legacy_has(indexes: set[str], ids: list[Any]) -> bool:
        found = sorted([document["_id"] async for document in legacy.find({})], key=str)
        return set(await legacy.index_information()) == indexes and found == sorted(ids, key=str)

    await until(lambda: legacy_has({"_id_", "a_1"}, list(range(20))), "what was written on new")
    await facade.drop()
    await facade.insert_one({"_id": "later"})
    await until(lambda: legacy_has({"_id_"}, ["later"]), "the drop on legacy")


@pytest.mark.parametrize("phase", ["write_new", "new"])
async def test_a_collection_of_a_special_kind_is_refused_by_name(world: World, phase: str) -> None:
    facade = world.pair(phase)[1]
    await facade.drop()
    with pytest.raises(OperationFailure, match="capped"):
        await facade.database.create_collection(phase, capped=True, size=1000)
    with pytest.raises(OperationFailure, match="collation"):
        await facade.database.create_collection(phase, collation=Collation("en"))
    assert runtime.current().entities[f"in_{phase}"].unsupported == {"create capped": 1, "create collation": 1}
    assert await facade.database.create_collection(phase) == facade


@pytest.mark.parametrize("phase", ["write_new", "new"])
async def test_nothing_is_altered_inside_a_transaction_on_new(world: World, phase: str) -> None:
    facade = world.pair(phase)[1]
    client = facade.database.client
    session = client.start_session()
    session = await session if hasattr(session, "__await__") else session
    started = session.start_transaction()
    async with await started if hasattr(started, "__await__") else started:
        await facade.insert_one({"_id": 1, "a": 1}, session=session)
        assert await facade.distinct("a", session=session) == [1]
        assert (await facade.database.command("count", phase, session=session))["n"] == 1
        await facade.database.command("insert", phase, documents=[{"_id": 2}], session=session)
        for alter in (facade.create_index("a", session=session), facade.index_information(session=session)):
            with pytest.raises(OperationFailure, match="multi-document transaction"):
                await alter
    await session.end_session()
    assert await facade.count_documents({}) == 2


@pytest.mark.parametrize("phase", ["write_new", "new"])
async def test_collections_are_listed_as_the_store_that_leads_them_has_them(world: World, phase: str) -> None:
    legacy, facade = world.plain(phase), world.pair(phase)[1]
    database = facade.database

    async def listed(**options: Any) -> tuple[bool, list[Any]]:
        cursor = await database.list_collections(**options)
        found = [each async for each in cursor if each["name"] == phase]
        names = await database.list_collection_names(**options)
        assert (phase in names) == bool(found)
        return phase in names, found

    await facade.drop()
    await legacy.insert_one({"_id": "what is left on legacy"})
    assert await listed() == (False, [])
    await facade.insert_one({"_id": 1})
    await legacy.drop()
    is_there, found = await listed()
    assert is_there and found[0]["type"] == "collection" and found[0]["idIndex"]["name"] == "_id_"
    assert await listed(filter={"name": phase}) == (is_there, found)
    assert await listed(filter={"name": re.compile("^" + phase)}) == (is_there, found)
    assert await listed(filter={"name": "other"}) == (False, [])
    assert await listed(filter={"type": "view"}) == (False, [])
    kept = await database.list_collections(nameOnly=True, authorizedCollections=True)
    assert [each async for each in kept if each["name"] == phase] == [{"name": phase, "type": "collection"}]
    with pytest.raises(CollectionInvalid):
        await database.create_collection(phase)
