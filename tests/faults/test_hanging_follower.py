"""A follower that hangs at 100 % sampling: callers do not wait, memory stays bounded, every sample is accounted for."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shadow.compare.account import Balance
from shadow.pymongo import AsyncMongoClient
from shadow.runtime import Runtime
from shadow.runtime.loops import Loop
from tests.faults.proxy import TcpProxy
from tests.journeys.runtime_support import ENTITY, Site, running, until
from tests.journeys.runtime_traffic import Traffic, Worker, percentile

LONG = [pytest.mark.slow, pytest.mark.timeout(600)]
COMPARISONS = 300
QUEUED = 200


@pytest.fixture
async def proxy(postgres_dsn: str) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(postgres_dsn) as found:
        yield found


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str, proxy: TcpProxy) -> Site:
    bounds = {"compare_queue": COMPARISONS, "queue_keys": QUEUED}
    made = Site(tmp_path, mongo_uri, proxy.uri, postgres_dsn, protocol=bounds)
    await made.prepare()
    return made


class Watch:
    """Looks again and again at what Shadow holds, and keeps the largest it saw."""

    def __init__(self, found: Runtime, loop: Loop) -> None:
        self._found = found
        self._loop = loop
        self.comparisons = self.queued = self.marks = 0
        self.open: list[str] = []

    def look(self) -> Balance:
        """One look. Nothing runs between the parts of it, so what a comparer holds must be open in the account."""
        here = self._loop.entities[ENTITY]
        balance = self._found.entities[ENTITY].account.balance()
        if balance.open < here.comparer.pending:  # rehearsals are open beside them
            self.open.append(f"{balance} while {here.comparer.pending} are held")
        self.comparisons = max(self.comparisons, here.comparer.pending)
        self.queued = max(self.queued, self._loop.lane.queue.keys)
        self.marks = max(self.marks, len(self._found.control.node.book))
        return balance

    async def during(self, seconds: float) -> None:
        """Look for so long."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end:
            self.look()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seconds", [pytest.param(3, id="short"), pytest.param(10, id="long", marks=LONG)])
async def test_a_hanging_follower_costs_callers_nothing_and_loses_no_sample(
    site: Site, proxy: TcpProxy, seconds: float
) -> None:
    async with running(site) as found, AsyncMongoClient(site.mongo) as client:
        workers = [Worker(f"w{n}", client, site.database, ENTITY, n) for n in range(4)]
        async with Traffic(workers) as traffic:
            await site.moved_to("dual_write")
            await site.backfilled()
            await site.moved_to("shadow_read")
            watch = Watch(found, await found.loop())
            traffic.waits()
            await watch.during(seconds)
            before, memory = traffic.waits(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            keys = len(traffic.ledger)
            proxy.stall()
            await watch.during(seconds)
            during, grown = traffic.waits(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
            stalled = watch.look()
            proxy.resume()
            assert traffic.errors == []
            async with traffic.paused():
                await site.quiet()
                await until(lambda: _closed(watch), "the end of every comparison")
                await site.equal()
            written = sum(traffic.seen().values())
            assert traffic.errors == []
    final = watch.look()
    print(
        f"{seconds} s: {len(before)} calls before, {len(during)} during; "
        f"p50 {1e3 * percentile(before, 0.5):.1f} -> {1e3 * percentile(during, 0.5):.1f} ms, "
        f"p99 {1e3 * percentile(before, 0.99):.1f} -> {1e3 * percentile(during, 0.99):.1f} ms, "
        f"peak memory +{grown / 1024:.1f} MiB; held at most {watch.comparisons} comparisons, {watch.queued} queued "
        f"keys, {watch.marks} marks (of {keys} keys, {written} writes)\nstalled {stalled}\nat the end {final}"
    )
    assert watch.open == []
    assert stalled.shed + stalled.errored + stalled.expired > 0, "the follower did not hang: nothing was tested"
    assert final.sampled == final.compared + final.shed + final.errored + final.expired
    assert watch.comparisons <= COMPARISONS
    assert watch.queued <= QUEUED


async def _closed(watch: Watch) -> bool:
    return watch.look().open == 0
