"""Two applications on one collection, writing the same keys in opposite order, in both directions of authority."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pymongo import MongoClient

from shadow_adapters.bson.codec import decode
from tests.faults.applications import Child, Ledger
from tests.journeys.runtime_support import ENTITY, Site

SLOW = [pytest.mark.slow, pytest.mark.timeout(1800)]
PHASES = ["dual_write", "shadow_read", "read_new", "write_new"]
KEYS = 12


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    with MongoClient[dict[str, object]](mongo_uri) as client:
        client[made.database][ENTITY].insert_many([{"_id": f"old {n}", "n": n} for n in range(50)])
    return made


async def both_done(site: Site, first: Child, second: Child) -> Ledger:
    """Let both write all keys, each in its order, and wait until they have; what they say of it."""
    first.go()
    second.go()
    await asyncio.gather(first.says("done", 900), second.says("done", 900))  # MongoDB is slow on so few keys
    ledger = Ledger()
    for each in (first, second):
        ledger.follow(each.ledger)
        ledger.forget_place()
    return ledger


@pytest.mark.parametrize(
    ("phase", "rounds"),
    [
        pytest.param("dual_write", 8, id="dual_write"),
        pytest.param("read_new", 8, id="read_new"),
        pytest.param("write_new", 8, id="write_new"),
        *(
            pytest.param(phase, 300, id=f"{phase}_long", marks=SLOW)
            for phase in ("dual_write", "read_new", "write_new")
        ),
    ],
)
async def test_opposite_orders_end_equal(site: Site, phase: str, rounds: int) -> None:
    common = {"keys": KEYS, "tasks": 4, "rounds": rounds}
    one = Child(site, "one", forwards=True, seed=1, **common)
    other = Child(site, "other", backwards=True, seed=2, first=1_000_000, **common)
    async with one, other:
        for each in PHASES[: PHASES.index(phase) + 1]:
            await site.moved_to(each)
            if each == "dual_write":
                await site.backfilled()
        ledger = await both_done(site, one, other)
        await site.quiet()
        records = await site.equal()
        assert await site.phase() == (phase, None)
    assert ledger.errors == []
    assert ledger.writes == 2 * 4 * rounds * KEYS
    written = [decode(record) for record in records.values()]
    assert {each["n"] for each in written if "padding" in each} <= ledger.given
    print(f"{phase}: {ledger.writes} acknowledged writes of {KEYS} keys by two processes; both stores are equal")
