"""A client's ``bulk_write`` over configured collections and others: alike on the bare driver and through a façade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.facade_bulks import BULKS, told
from tests.journeys.facade_support import BindingRouter, LegacyRouter, QuietRouter
from tests.journeys.facade_worlds import CLIENTS, Pair, pair_on_new, stored

ROUTERS = {"legacy": LegacyRouter, "bound": BindingRouter, "quiet": QuietRouter}


async def differences(pair: Pair) -> dict[str, Any]:
    found = {}
    for name, (models, options) in BULKS.items():
        await pair.seed()
        for collection in (pair.bare, pair.facade):
            await pair.clients[0][collection.database.name][f"elsewhere_{collection.name}"].delete_many({})
        ours = [await told(c, models, options) for c in (pair.bare, pair.facade)]
        left = [await stored(c) for c in (pair.bare, pair.shown)]
        if ours[0] != ours[1] or left[0] != left[1]:
            found[name] = *ours, *(left if left[0] != left[1] else ())
    return found


@pytest.mark.parametrize("shape", CLIENTS)
@pytest.mark.parametrize("router", ROUTERS)
async def test_every_bulk_is_the_drivers(shape: str, router: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, ROUTERS[router]())
    assert await differences(pair) == {}
    assert {op.name for op in pair.router.seen} == (set() if router == "quiet" else {"bulk_write"})
    await pair.close()


@pytest.fixture(params=["motor", "pymongo"])
async def on_new(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def test_every_bulk_is_the_drivers_on_new(on_new: Pair) -> None:
    assert await differences(on_new) == {}
    assert on_new.router.others == []
