"""The cases, named phase first."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from bson import ObjectId

from shadow_adapters.bson.keys import key_of
from shadow_flags.buckets import bucket
from tests.bench.measure import Case, Result, Side
from tests.bench.world import RECORDS, World, record


def cases(world: World) -> Iterator[Case]:
    """Every case against the bare driver."""
    yield _find(world, "unconfigured", "plain")
    for phase in ("legacy", "dual_write"):
        yield _find(world, phase)
        yield _update(world, phase)
        yield _insert(world, phase)
    yield from _behind_a_row(world)
    yield _hot(world)
    yield _many(world)
    yield _find(world, "shadow_read")
    yield _update(world, "shadow_read")
    yield _find(world, "read_new")
    yield _update(world, "read_new")
    yield _find(world, "write_new")
    yield _update(world, "write_new")
    yield from _synchronous(world)
    yield from _against_sql(world)


def _find(world: World, phase: str, collection: str | None = None) -> Case:
    bare, shadow = world.bare.bench[collection or phase], world.shadow.bench[collection or phase]
    drain = partial(world.drained, phase)
    return Case(
        f"{phase} find_one",
        lambda n: bare.find_one({"_id": f"k{n % RECORDS}"}),
        lambda n: shadow.find_one({"_id": f"k{n % RECORDS}"}),
        **({} if collection else {"drain": drain}),  # type: ignore[arg-type]
    )


def _update(world: World, phase: str, **more: Any) -> Case:
    bare, shadow = world.bare.bench.plain, world.shadow.bench[phase]
    return Case(
        f"{phase} update_one",
        lambda n: bare.update_one({"_id": f"k{n % RECORDS}"}, {"$set": {"n": time.time_ns()}}),
        lambda n: shadow.update_one({"_id": f"k{n % RECORDS}"}, {"$set": {"n": time.time_ns()}}),
        partial(world.drained, phase),
        **more,
    )


def _insert(world: World, phase: str) -> Case:
    bare, shadow = world.bare.bench.plain, world.shadow.bench[phase]
    return Case(
        f"{phase} insert_one",
        lambda n: bare.insert_one(record(n) | {"_id": ObjectId()}),
        lambda n: shadow.insert_one(record(n) | {"_id": ObjectId()}),
        partial(world.drained, phase),
    )


def _synchronous(world: World) -> Iterator[Case]:
    """Synchronous PyMongo: the caller's own thread in ``legacy``, a loop thread that it waits for in every other."""
    for phase in ("legacy", "dual_write", "read_new", "write_new"):
        yield _at_once(_find(replace(world, bare=world.bare_sync, shadow=world.shadow_sync), phase))
        yield _at_once(_update(replace(world, bare=world.bare_sync, shadow=world.shadow_sync), phase))


def _at_once(case: Case) -> Case:
    def awaited(call: Any) -> Any:
        async def made(n: int) -> Any:
            return call(n)

        return made

    return replace(case, name=f"{case.name} sync", bare=awaited(case.bare), shadow=awaited(case.shadow))


def _behind_a_row(world: World) -> Iterator[Case]:
    """What ``dual_write update_one`` is held against: the bare driver behind one round trip that leaves a row.

    The first tells what that costs, the second is ``dual_write`` beside it.
    """
    bare, conn = world.bare.bench.plain, world.quick

    async def behind(n: int) -> None:
        await conn.execute("INSERT INTO bench_rows VALUES ($1, $2, now())", uuid4(), f"k{n % RECORDS}")
        await bare.update_one({"_id": f"k{n % RECORDS}"}, {"$set": {"n": time.time_ns()}})

    update = _update(world, "dual_write")
    yield Case("dual_write round trip", update.bare, behind)
    yield Case("dual_write beside a round trip", behind, update.shadow, update.drain)


def _hot(world: World) -> Case:
    """One key, written again and again: its mark is there already nearly always."""
    bare, shadow = world.bare.bench.plain, world.shadow.bench.dual_write
    return Case(
        "dual_write hot update_one",
        lambda n: bare.update_one({"_id": "k7"}, {"$inc": {"n": 1}}),
        lambda n: shadow.update_one({"_id": "k7"}, {"$inc": {"n": 1}}),
        partial(world.drained, "dual_write"),
    )


def _many(world: World) -> Case:
    case = _update(world, "dual_write", tasks=64, per_block=640, blocks=5)
    return Case(
        "dual_write update_one 64 tasks", case.bare, case.shadow, case.drain, case.per_block, case.blocks, case.tasks
    )


def _against_sql(world: World) -> Iterator[Case]:
    """New beside hand-written SQL over asyncpg: the same records as jsonb, the same server, the same commit.

    On both sides the application has a dict in its hands.
    """
    conn, shadow = world.postgres, world.shadow.bench.new
    select = "SELECT doc FROM bench_sql WHERE k = $1"
    insert = "INSERT INTO bench_sql VALUES ($1, $2)"
    update = "UPDATE bench_sql SET doc = jsonb_set(doc, '{n}', to_jsonb($2::bigint)) WHERE k = $1"

    async def found(n: int) -> Any:
        return json.loads(await conn.fetchval(select, f"k{n % RECORDS}"))

    yield Case("new find_one", found, lambda n: shadow.find_one({"_id": f"k{n % RECORDS}"}))
    yield Case(
        "new insert_one",
        lambda n: conn.execute(insert, str(ObjectId()), json.dumps(record(n))),
        lambda n: shadow.insert_one(record(n) | {"_id": ObjectId()}),
    )
    yield Case(
        "new update_one",
        lambda n: conn.execute(update, f"k{n % RECORDS}", time.time_ns()),
        lambda n: shadow.update_one({"_id": f"k{n % RECORDS}"}, {"$set": {"n": time.time_ns()}}),
    )


async def round_trip(world: World) -> Result:
    """One round trip to PostgreSQL, to hold the cost of a mark against."""
    side = Side()
    for _ in range(1000):
        began = time.perf_counter()
        await world.postgres.fetchval("SELECT 1")
        side.calls.append(time.perf_counter() - began)
    return Result("postgres round trip", side, side)


def route_lookup(world: World) -> Result:
    """The route of one call: key, bucket, phase. ``bare`` is an empty loop."""
    entity = world.runtime.entities["bench_shadow_read"]
    view = world.runtime.control.node.views["bench_shadow_read"]
    bare, shadow = Side(), Side()
    key = key_of("k1")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            pass
        bare.calls.append((time.perf_counter() - began) / 1000)
        began = time.perf_counter()
        for _ in range(1000):
            entity.routes(view).phases[bucket(entity.flag, key)]
        shadow.calls.append((time.perf_counter() - began) / 1000)
    return Result("route lookup", bare, shadow)
