"""`kill -9` of an application at random points of its writes: what differs right after has its mark, debt or journal
entry, and once another process has reconciled, both stores are equal and hold every acknowledged write."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from pymongo import MongoClient

from shadow_adapters.bson.codec import decode
from tests.faults.applications import Child, Ledger, numbers
from tests.journeys.runtime_support import ENTITY, Site, until

SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]
PHASES = ["dual_write", "shadow_read", "read_new", "write_new"]


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn, protocol={"settle_seconds": 0.5})
    await made.prepare()
    with MongoClient[dict[str, object]](mongo_uri) as client:  # something to backfill
        client[made.database][ENTITY].insert_many([{"_id": f"old {n}", "n": n} for n in range(200)])
    return made


async def uncovered(site: Site) -> tuple[int, int, list[str]]:
    """How many keys differ, how many are covered by a note, and those that differ without one.

    In this order: a note moves from a journal to control, and is closed only when its key has been made equal.
    """
    journalled, journal_debts = site.journalled()
    marks = {*journalled, *await site.open_marks()}
    debts = journal_debts + await site.debts()
    legacy, new = await site.stores()
    differing = [key for key in legacy.keys() | new.keys() if legacy.get(key) != new.get(key)]
    bare = [] if debts or None in marks else [key.hex() for key in differing if key not in marks]
    return len(differing), len(marks), bare


async def killed_under_load(site: Site, ledger: Ledger, child: Child, rng: random.Random) -> None:
    """Let the child write, and kill it at some point of it."""
    already = ledger.writes

    async def writes() -> bool:
        ledger.follow(child.ledger)
        return ledger.writes > already

    child.go()
    await until(writes, "the first acknowledged write", site.status)
    await asyncio.sleep(rng.uniform(0, 0.7))
    await child.kill()
    ledger.follow(child.ledger)


@pytest.mark.parametrize(
    ("phase", "times"),
    [
        pytest.param("dual_write", 5, id="dual_write"),
        pytest.param("read_new", 3, id="read_new"),
        pytest.param("write_new", 3, id="write_new"),
        pytest.param("dual_write", 200, id="dual_write_long", marks=SLOW),
        pytest.param("read_new", 40, id="read_new_long", marks=SLOW),
        pytest.param("write_new", 40, id="write_new_long", marks=SLOW),
    ],
)
async def test_no_kill_loses_a_write_or_leaves_a_difference_unmarked(site: Site, phase: str, times: int) -> None:
    rng = random.Random(times)
    ledger = Ledger()
    differed = noted = 0
    child = await Child(site).start()
    try:
        for each in PHASES[: PHASES.index(phase) + 1]:
            await site.moved_to(each)
            if each == "dual_write":
                await site.backfilled()
        for kill in range(times):
            await killed_under_load(site, ledger, child, rng)
            differing, marks, bare = await uncovered(site)
            assert not bare, f"kill {kill}: these keys differ and nothing says so: {bare}"
            differed, noted = differed + differing, noted + marks
            child = await Child(site, seed=kill + 1, first=ledger.last + 1).start()
            await site.quiet()
            records = await site.equal()
            assert ledger.settle(numbers(map(decode, records.values()))) == []
    finally:
        await child.kill()
    assert ledger.errors == []
    assert noted, "every kill came when nothing was under way: nothing was tested"
    print(f"{phase}: {times} kills, {ledger.writes} acknowledged writes, {noted} notes open, {differed} keys differed")
