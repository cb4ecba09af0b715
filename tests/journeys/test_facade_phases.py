"""The same calls through the bare driver and through a façade over the whole runtime, settled in each phase."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journeys.facade_calls import CALLS, CURSORS, OTHERS
from tests.journeys.facade_support import outcome
from tests.journeys.facade_worlds import CLIENTS, PHASES, World, stored, world_of

LEGACY_IS_AUTHORITY = PHASES[:4]


@pytest.fixture(params=list(CLIENTS))
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path) as made:
        yield made


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
