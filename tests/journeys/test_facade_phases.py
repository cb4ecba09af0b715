"""The same calls through the bare driver and through a façade over the whole runtime, settled in each phase."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shadow import runtime
from shadow.config import load
from shadow.schema import apply
from tests.journeys.facade_awaited import awaited
from tests.journeys.facade_calls import CALLS, CURSORS, OTHERS, SEED
from tests.journeys.facade_support import outcome, plain
from tests.journeys.test_facade_behaviour import CLIENTS

PHASES = ("legacy", "dual_write", "shadow_read", "read_new", "write_new", "new")
LEGACY_IS_AUTHORITY = PHASES[:4]


class World:
    """A bare client and a façade's, over one configuration with an entity in each phase."""

    def __init__(self, shape: str, uri: str) -> None:
        bare, facade = CLIENTS[shape]
        self.clients = awaited(bare(uri)), awaited(facade(uri))

    def pair(self, phase: str) -> tuple[Any, Any]:
        bare, facade = (client.get_default_database() for client in self.clients)
        return bare[f"bare_{phase}"], facade[phase]

    def plain(self, phase: str) -> Any:
        """The façade's collection through the bare driver."""
        return self.clients[0].get_default_database()[phase]

    async def seed(self, phase: str) -> None:
        for collection in self.pair(phase):
            await collection.delete_many({})
            await collection.insert_many(copy.deepcopy(SEED))

    async def close(self) -> None:
        for client in self.clients:
            closing = client.close()
            if closing is not None:
                await closing
        await asyncio.to_thread(runtime.uninstall)


@pytest.fixture(params=list(CLIENTS))
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path) as made:
        yield made


@asynccontextmanager
async def world_of(shape: str, mongo_uri: str, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    """The whole runtime in this process, with an entity settled in each phase."""
    made = World(shape, mongo_uri)
    database = made.clients[0].get_default_database().name
    path = tmp_path / "shadow.toml"
    path.write_text(
        f'[stores]\nmongo = "{mongo_uri}"\npostgres = "{postgres_dsn}"\n'
        f'[protocol]\njournal = "{tmp_path / "journal"}"\n'
        + "".join(
            f'[entities.in_{phase}]\nlegacy = {{ mongo = "{database}.{phase}" }}\nphase = "{phase}"\n'
            for phase in PHASES
        )
    )
    settings = load(path)
    conn = await asyncpg.connect(postgres_dsn)
    await apply(settings, conn)
    for phase in PHASES:
        await conn.execute(
            "INSERT INTO shadow.entity (entity, phase, backfill) VALUES ('in_' || $1, $1, 'done') "
            "ON CONFLICT (entity) DO UPDATE SET phase = excluded.phase, backfill = excluded.backfill",
            phase,
        )
    await conn.close()
    runtime.install(settings)
    yield made
    await made.close()


async def stored(collection: Any) -> Any:
    return plain(await collection.find(sort=[("a", 1), ("_id", 1)]).to_list(None))


@pytest.mark.parametrize("phase", PHASES)
async def test_every_call_is_the_drivers_in(world: World, phase: str) -> None:
    bare, facade = world.pair(phase)
    differences = {}
    for name, call in {**CALLS, **CURSORS}.items():
        await world.seed(phase)
        theirs, ours = await outcome(lambda call=call: call(bare)), await outcome(lambda call=call: call(facade))
        records = await stored(bare), await stored(facade)
        if theirs != ours or records[0] != records[1]:
            differences[name] = theirs, ours, *records
    assert differences == {}


@pytest.mark.parametrize("phase", LEGACY_IS_AUTHORITY)
async def test_what_new_does_not_serve_is_legacys_in(world: World, phase: str) -> None:
    bare, facade = world.pair(phase)
    differences = {}
    for name, call in OTHERS.items():
        await world.seed(phase)
        theirs, ours = await outcome(lambda call=call: call(bare)), await outcome(lambda call=call: call(facade))
        if theirs != ours:
            differences[name] = theirs, ours
    assert differences == {}
