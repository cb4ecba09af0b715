"""Aggregations through the bare driver and through a façade, whichever store answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo.errors import OperationFailure

from shadow import runtime
from shadow.ops.base import Named
from shadow_adapters.bson import keys
from tests.journeys.facade_calls import SEED
from tests.journeys.facade_support import LegacyRouter, outcome
from tests.journeys.facade_worlds import CLIENTS, PHASES, Pair, World, both, pair_on, pair_on_new, world_of
from tests.journeys.runtime_support import until

Call = Callable[[Any], Any]

BY_ID = {"$sort": {"_id": 1}}


async def _cursor(made: Any) -> Any:
    """What Motor gives at once, and PyMongo's coroutine when it is awaited."""
    return await made if hasattr(made, "__await__") else made


async def _list(made: Any, length: int | None = None) -> list[Any]:
    found: list[Any] = await (await _cursor(made)).to_list(length)
    return found


async def _iterate(made: Any) -> list[Any]:
    return [document async for document in await _cursor(made)]


async def _step(made: Any) -> list[Any]:
    """How a cursor looks on its way."""
    cursor = await _cursor(made)
    seen: list[Any] = [(await cursor.next())["_id"], cursor.alive]
    async for document in cursor:
        seen += [document["_id"]]
    await cursor.close()
    return [*seen, cursor.alive]


async def _twice(made: Any) -> list[Any]:
    cursor = await _cursor(made)
    return [await cursor.to_list(2), await cursor.to_list(None), cursor.alive]


async def _close_early(made: Any) -> list[Any]:
    cursor = await _cursor(made)
    first = await cursor.next()
    await cursor.close()
    return [first["_id"], cursor.alive]


async def _in_context(made: Any) -> list[Any]:
    async with await _cursor(made) as cursor:
        return [(await cursor.next())["_id"]]


CALLS: dict[str, Call] = {
    "all": lambda c: _list(c.aggregate([BY_ID])),
    "nothing": lambda c: _list(c.aggregate([{"$match": {"a": 99}}])),
    "iterated": lambda c: _iterate(c.aggregate([{"$match": {"a": 2}}, BY_ID])),
    "by id": lambda c: _list(c.aggregate([{"$match": {"_id": 1}}, {"$project": {"tags": 1}}])),
    "group": lambda c: _list(c.aggregate([{"$group": {"_id": "$a", "n": {"$sum": 1}}}, BY_ID])),
    "count": lambda c: _list(c.aggregate([{"$match": {"a": {"$lt": 4}}}, {"$count": "n"}])),
    "unwind": lambda c: _list(c.aggregate([{"$unwind": "$tags"}, {"$sort": {"tags": 1, "_id": 1}}])),
    "facet": lambda c: _list(c.aggregate([BY_ID, {"$facet": {"x": [{"$limit": 1}], "y": [{"$count": "n"}]}}])),
    "let": lambda c: _list(c.aggregate([{"$match": {"$expr": {"$eq": ["$a", "$$v"]}}}, BY_ID], let={"v": 2})),
    "options": lambda c: _list(c.aggregate([BY_ID], allowDiskUse=True, comment="x", batchSize=2, maxTimeMS=5000)),
    "stepped": lambda c: _step(c.aggregate([BY_ID])),
    "stepped in batches": lambda c: _step(c.aggregate([BY_ID], batchSize=2)),
    "an empty first batch": lambda c: _iterate(c.aggregate([BY_ID], batchSize=0)),
    "listed twice": lambda c: _twice(c.aggregate([BY_ID], batchSize=2)),
    "closed early": lambda c: _close_early(c.aggregate([BY_ID], batchSize=2)),
    "in a context": lambda c: _in_context(c.aggregate([BY_ID], batchSize=2)),
    "no list": lambda c: _list(c.aggregate({"$match": {}})),
    "explain": lambda c: _list(c.aggregate([], explain=True)),
    "bad let": lambda c: _list(c.aggregate([], let=5)),
    "bad batch": lambda c: _list(c.aggregate([], batchSize=-1)),
    "bad stage": lambda c: _list(c.aggregate([{"$bad": 1}])),
    "bad match": lambda c: _list(c.aggregate([{"$match": {"a": {"$bad": 1}}}])),
    "no document": lambda c: _list(c.aggregate([{"$replaceWith": "$a"}])),
}


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, LegacyRouter()) as made:
        yield made


@pytest.fixture(params=list(CLIENTS))
async def new_pair(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        await made.seed()
        yield made


async def differences(pair: Pair) -> dict[str, Any]:
    found = {}
    for name, call in CALLS.items():
        bare, facade = await both(pair, call)
        if bare != facade:
            found[name] = bare, facade
    return found


async def test_on_legacy_it_is_the_drivers(pair: Pair) -> None:
    assert await differences(pair) == {}
    seen = [op for op in pair.router.seen if getattr(op, "name", None) == "aggregate"]
    assert len(seen) == len(CALLS) - len(("no list", "explain", "bad let", "bad batch"))
    assert [op.id() for op in seen if op.id() is not None] == [Named(1)]


async def test_on_new_it_is_the_drivers(new_pair: Pair) -> None:
    assert await differences(new_pair) == {}
    assert all(len(opened.delivered) <= 1 for opened in new_pair.router.opened)


async def test_a_long_result_comes_in_batches(new_pair: Pair) -> None:
    await new_pair.facade.insert_many([{"_id": 1000 + n} for n in range(350)])
    cursor = await _cursor(new_pair.facade.aggregate([{"$match": {"_id": {"$gte": 1000}}}, BY_ID]))
    assert (await cursor.next())["_id"] == 1000
    assert cursor.cursor_id
    assert [document["_id"] async for document in cursor] == list(range(1001, 1350))
    assert not cursor.alive
    assert not cursor.cursor_id

    async def told() -> bool:  # not waited for where the loop is another thread's
        return bool(new_pair.router.opened[-1].delivered)

    await until(told, "what was delivered")
    ((documents, complete),) = new_pair.router.opened[-1].delivered
    assert (len(documents), complete) == (350, True)


@pytest.fixture(params=list(CLIENTS))
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path, ("", "other_")) as made:
        yield made


@pytest.mark.parametrize("phase", PHASES)
async def test_every_aggregation_is_the_drivers_in(world: World, phase: str) -> None:
    await world.seed(phase)
    found = {}
    for name, call in CALLS.items():
        theirs = await outcome(partial(call, world.bare[f"bare_{phase}"]))
        ours = await outcome(partial(call, world.facade[phase]))
        if theirs != ours:
            found[name] = theirs, ours
    assert found == {}


def _joined(prefix: str, phase: str) -> list[dict[str, Any]]:
    lookup = {"from": f"{prefix}{phase}", "localField": "a", "foreignField": "a", "as": "same"}
    return [BY_ID, {"$lookup": lookup}, {"$project": {"n": {"$size": "$same"}}}]


@pytest.mark.parametrize("phase", PHASES)
async def test_collections_of_one_authority_are_read_together_in(world: World, phase: str) -> None:
    other = f"other_{phase}"
    await world.seed(phase, other)
    bare = await _list(world.bare[f"bare_{phase}"].aggregate(_joined("bare_", other)))
    assert await _list(world.facade[phase].aggregate(_joined("", other))) == bare
    assert [found["n"] for found in bare] == [1, 2, 2, 1]


@pytest.mark.parametrize(
    ("phase", "other", "served"),
    [
        ("legacy", "other_write_new", False),
        ("dual_write", "other_new", False),
        ("read_new", "other_write_new", False),
        ("write_new", "other_read_new", False),
        ("new", "elsewhere", False),
        ("legacy", "other_read_new", True),
        ("read_new", "other_dual_write", True),
        ("read_new", "elsewhere", True),
        ("write_new", "other_new", True),
    ],
)
async def test_no_store_answers_for_what_it_has_not_the_truth_of(
    world: World, phase: str, other: str, served: bool
) -> None:
    await world.seed(phase)
    collection = world.facade[other]
    await collection.delete_many({})
    await collection.insert_many([dict(document) for document in SEED])
    if served:
        found = await _list(world.facade[phase].aggregate(_joined("", other)))
        assert [each["n"] for each in found] == [1, 2, 2, 1]
        return
    with pytest.raises(OperationFailure) as caught:
        await _list(world.facade[phase].aggregate(_joined("", other)))
    assert caught.value.code in (20, 115)
    assert other in str(caught.value)
    unsupported = runtime.current().entities[f"in_{phase}"].unsupported
    assert any(other in name for name in unsupported)


@pytest.mark.parametrize("phase", ["read_new", "new"])
async def test_an_aggregation_in_a_transaction_sees_what_it_wrote(world: World, phase: str) -> None:
    other = f"other_{phase}"
    await world.seed(phase, other)
    async with await _cursor(world.clients[1].start_session()) as session:
        await _cursor(session.start_transaction())
        await world.facade[other].insert_one({"_id": 77, "a": 4}, session=session)
        found = await _list(world.facade[phase].aggregate(_joined("", other), session=session))
        assert [each["n"] for each in found] == [1, 2, 2, 2]
        await session.abort_transaction()
    assert [each["n"] for each in await _list(world.facade[phase].aggregate(_joined("", other)))] == [1, 2, 2, 1]


async def test_what_nobody_compares_is_tried_on_new(world: World) -> None:
    await world.seed("shadow_read", "other_shadow_read")
    collection = world.facade["shadow_read"]
    await _list(collection.aggregate(_joined("", "other_shadow_read")))
    await _list(collection.aggregate(_joined("", "elsewhere")))
    await _list(collection.aggregate([{"$indexStats": {}}]))
    unsupported = runtime.current().entities["in_shadow_read"].unsupported

    async def counted() -> bool:
        return unsupported == {"$lookup from elsewhere": 1, "aggregate $indexStats": 1}

    await until(counted, "what new does not serve")


async def test_shadow_reads_find_where_aggregations_differ(world: World, postgres_dsn: str) -> None:
    await world.seed("shadow_read")
    collection, entity = world.facade["shadow_read"], runtime.current().entities["in_shadow_read"]
    group = [{"$group": {"_id": "$a", "n": {"$sum": 1}}}]
    conn = await asyncpg.connect(postgres_dsn)

    async def synced() -> bool:
        marked = await conn.fetchval("SELECT EXISTS (SELECT FROM shadow.mark WHERE closed_at IS NULL)")
        return not marked and await conn.fetchval(f"SELECT count(*) FROM {entity.layout.table}") == len(SEED)

    async def compared(*pipelines: list[dict[str, Any]]) -> None:
        for stages in pipelines:
            before = entity.bound.compared

            async def one(stages: Any = stages, before: int = before) -> bool:  # asked again where one was too late
                await _list(collection.aggregate(stages))
                return entity.bound.compared > before

            await until(one, "a comparison")

    try:
        await until(synced, "the records to be in new")
        await compared(group, [{"$match": {"a": 2}}], [BY_ID, {"$limit": 2}], [{"$count": "n"}])
        assert entity.bound.mismatches == 0
        await conn.execute(f"DELETE FROM {entity.layout.table} WHERE k = $1", keys.encode(2))
        await compared(group)
        assert entity.bound.mismatches > 0
    finally:
        await conn.close()
