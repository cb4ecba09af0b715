"""Commands, a client's bulks, whole cursors and GridFS over the whole runtime, settled in each phase."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shadow import runtime
from tests.journeys.facade_bulks import BULKS, told
from tests.journeys.facade_commands import COMMANDS, ODD, SECANTUS, essence
from tests.journeys.facade_cursors import WHOLE
from tests.journeys.facade_support import outcome
from tests.journeys.facade_worlds import PHASES, World, stored, world_of


@pytest.fixture(params=["motor", "pymongo"])
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path) as made:
        yield made


def unserved(phase: str) -> dict[str, int]:
    return dict(runtime.current().entities[f"in_{phase}"].unsupported)


@pytest.mark.parametrize("phase", PHASES)
async def test_every_command_is_the_drivers_in(world: World, phase: str) -> None:
    bare, facade = world.pair(phase)
    differing = {}
    for name, call in COMMANDS.items():
        if name in ODD | SECANTUS:
            continue
        await world.seed(phase)
        theirs, ours = await outcome(lambda call=call: call(bare)), await outcome(lambda call=call: call(facade))
        records = await stored(bare), await stored(facade)
        if essence(theirs) != essence(ours) or records[0] != records[1]:
            differing[name] = theirs, ours, *(records if records[0] != records[1] else ())
    assert differing == {}
    assert unserved(phase).keys() <= {"$bad"}  # which is no operator


@pytest.mark.parametrize("phase", PHASES)
async def test_every_bulk_of_a_client_is_the_drivers_in(world: World, phase: str) -> None:
    bare, facade = world.pair(phase)
    differing = {}
    for name, (models, options) in BULKS.items():
        await world.seed(phase)
        for collection in (bare, facade):
            await collection.database[f"elsewhere_{collection.name}"].delete_many({})
        theirs, ours = [await told(collection, models, options) for collection in (bare, facade)]
        records = await stored(bare), await stored(facade)
        if theirs != ours or records[0] != records[1]:
            differing[name] = theirs, ours, *(records if records[0] != records[1] else ())
    assert differing == {}
    assert unserved(phase).keys() <= {"$bad"}  # which is no operator


@pytest.mark.parametrize("phase", PHASES)
async def test_a_whole_cursor_is_the_drivers_in(world: World, phase: str) -> None:
    bare, facade = world.pair(phase)
    await world.seed(phase)
    differing = {}
    for name, call in WHOLE.items():
        theirs, ours = await outcome(lambda call=call: call(bare)), await outcome(lambda call=call: call(facade))
        if theirs != ours:
            differing[name] = theirs, ours
    assert differing == {}
