"""PostgreSQL stopped, killed, frozen or cut off, in every phase, and what callers see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from shadow.embedded import PostgresServer
from shadow.pymongo import AsyncMongoClient
from shadow.runtime import Runtime
from shadow_adapters.bson.codec import decode
from shadow_adapters.bson.keys import key_of
from tests.faults.proxy import TcpProxy
from tests.journeys.runtime_support import ENTITY, Site, running, until
from tests.journeys.runtime_traffic import Traffic, Worker, percentile

PHASES = ["dual_write", "shadow_read", "read_new", "write_new"]
LONG = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Fault:
    """One way to lose PostgreSQL, and the way back."""

    server: PostgresServer
    proxy: TcpProxy
    kind: str

    async def strike(self) -> None:
        """PostgreSQL is away from here on."""
        if self.kind in ("cut", "stall"):
            getattr(self.proxy, self.kind)()
        else:
            await asyncio.to_thread(getattr(self.server, self.kind))

    async def pass_over(self) -> None:
        """PostgreSQL is back."""
        if self.kind in ("cut", "stall"):
            self.proxy.resume()
        else:
            await asyncio.to_thread(self.server.resume if self.kind == "pause" else self.server.start)


@pytest.fixture
async def proxy(own_postgres: PostgresServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(own_postgres.dsn) as found:
        yield found


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, own_postgres: PostgresServer, proxy: TcpProxy) -> Site:
    made = Site(tmp_path, mongo_uri, proxy.uri, own_postgres.dsn)
    await made.prepare()
    return made


@asynccontextmanager
async def under_traffic(site: Site, phase: str) -> AsyncIterator[tuple[Runtime, Traffic]]:
    """Shadow in this process, in a phase, under traffic."""
    async with running(site) as found, AsyncMongoClient(site.mongo) as client:
        workers = [Worker(f"w{n}", client, site.database, ENTITY, n) for n in range(3)]
        async with Traffic(workers) as traffic:
            for each in PHASES[: PHASES.index(phase) + 1]:
                await site.moved_to(each)
                await traffic.steps(5)
                if each == "dual_write":
                    await site.backfilled()
                if each == "read_new" and phase != each:
                    async with traffic.paused():
                        await site.quiet()
                        await site.told("verify", ENTITY)
            yield found, traffic


async def nothing_lost(site: Site, traffic: Traffic) -> None:
    """After PostgreSQL is back: both stores hold the ledger."""
    async with traffic.paused():
        await site.quiet()
        records = await site.equal()
    assert {key: decode(record)["n"] for key, record in records.items()} == {
        key_of(identity): one["n"] for identity, one in traffic.ledger.items()
    }


def told(what: str, before: list[float], during: list[float]) -> None:
    """The figures of one fault."""
    print(
        f"{what}: {len(during)} calls; "
        f"p50 {1e3 * percentile(before, 0.5):.1f} -> {1e3 * percentile(during, 0.5):.1f} ms, "
        f"p99 {1e3 * percentile(before, 0.99):.0f} -> {1e3 * percentile(during, 0.99):.0f} ms, "
        f"longest {1e3 * max(during, default=0):.0f} ms"
    )


@pytest.mark.parametrize("kind", ["stop", "kill", "pause", "cut", "stall"])
@pytest.mark.parametrize(
    ("phase", "seconds"),
    [
        pytest.param("dual_write", 3, id="dual_write"),
        pytest.param("shadow_read", 3, id="shadow_read"),
        pytest.param("shadow_read", 20, id="shadow_read_long", marks=LONG),
    ],
)
async def test_callers_go_on_while_legacy_is_the_authority(
    site: Site, own_postgres: PostgresServer, proxy: TcpProxy, phase: str, seconds: float, kind: str
) -> None:
    fault = Fault(own_postgres, proxy, kind)
    async with under_traffic(site, phase) as (found, traffic):
        traffic.waits()
        await traffic.steps(10)
        before = traffic.waits()
        await fault.strike()
        try:
            await asyncio.sleep(seconds)
            await traffic.steps(5)
            during = traffic.waits()
            assert found.control.node.journal.size > 0
        finally:
            await fault.pass_over()
        await traffic.steps(5)
        assert traffic.errors == []
        await nothing_lost(site, traffic)
        assert found.control.node.journal.size == 0
        await traffic.steps(5)
        assert traffic.errors == []
    told(f"{phase}, {kind}", before, during)


@pytest.mark.parametrize("kind", ["kill", "pause", "cut"])
async def test_read_new_goes_on_after_a_pause_and_reads_nothing_stale(
    site: Site, own_postgres: PostgresServer, proxy: TcpProxy, kind: str
) -> None:
    fault = Fault(own_postgres, proxy, kind)
    async with under_traffic(site, "read_new") as (_, traffic):
        traffic.waits()
        await traffic.steps(10)
        before = traffic.waits()
        await fault.strike()
        try:
            await traffic.steps(10)
            during = traffic.waits()
        finally:
            await fault.pass_over()
        await traffic.steps(5)
        assert traffic.errors == []
        await nothing_lost(site, traffic)
        await traffic.steps(5)
        assert traffic.errors == []
    told(f"read_new (lease 2 s), {kind}", before, during)


@pytest.mark.parametrize("kind", ["stop", "kill", "cut"])
async def test_write_new_answers_with_the_drivers_retryable_error(
    site: Site, own_postgres: PostgresServer, proxy: TcpProxy, kind: str
) -> None:
    fault = Fault(own_postgres, proxy, kind)
    async with under_traffic(site, "write_new") as (_, traffic), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await traffic.steps(10)
        async with traffic.paused():
            await fault.strike()
            try:
                for call in _calls(things):
                    with pytest.raises(AutoReconnect):
                        await call()
            finally:
                await fault.pass_over()
            await until(lambda: _served(things), "an answer after PostgreSQL came back", site.status)
        await traffic.steps(10)
        assert traffic.errors == []
        await things.delete_many({"owner": "caller"})
        await nothing_lost(site, traffic)


def _calls(things: Any) -> list[Callable[[], Awaitable[Any]]]:
    return [
        lambda: things.insert_one({"_id": "x", "owner": "caller"}),
        lambda: things.update_one({"_id": "x"}, {"$set": {"n": 1}}),
        lambda: things.update_many({"owner": "caller"}, {"$set": {"n": 1}}),
        lambda: things.find_one_and_update({"owner": "caller"}, {"$set": {"n": 1}}),
        lambda: things.delete_one({"_id": "x"}),
        lambda: things.find_one({"_id": "x"}),
        lambda: things.find({"owner": "caller"}).to_list(None),
        lambda: things.count_documents({"owner": "caller"}),
    ]


async def _served(things: Any) -> bool:
    try:
        await things.insert_one({"owner": "caller"})
    except AutoReconnect:
        return False
    return True


async def test_a_process_that_starts_without_postgres_serves_legacy_with_its_journal(
    site: Site, own_postgres: PostgresServer
) -> None:
    async with running(site), AsyncMongoClient(site.mongo) as client:
        await client[site.database][ENTITY].insert_one({"_id": "before", "n": 1})
        await site.moved_to("dual_write")
        await site.backfilled()
        await site.quiet()
    await asyncio.to_thread(own_postgres.stop)
    async with running(site), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.insert_one({"_id": "while away", "n": 2})
        await things.update_one({"_id": "before"}, {"$set": {"n": 3}})
        assert await things.find_one({"_id": "before"}) == {"_id": "before", "n": 3}
        assert site.journalled()[0] == {key_of("while away"), key_of("before")}
        await asyncio.to_thread(own_postgres.start)
        await site.quiet()
        records = await site.equal()
    assert {decode(record)["_id"]: decode(record)["n"] for record in records.values()} == {"before": 3, "while away": 2}


async def test_a_process_that_starts_without_postgres_refuses_what_legacy_says_is_armed(
    site: Site, own_postgres: PostgresServer
) -> None:
    async with under_traffic(site, "read_new") as (_, traffic):
        await traffic.steps(5)
    await asyncio.to_thread(own_postgres.stop)
    async with running(site), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        for call in _calls(things):
            with pytest.raises(AutoReconnect, match="bring PostgreSQL back"):
                await call()
        await asyncio.to_thread(own_postgres.start)
        await until(lambda: _served(things), "an answer after PostgreSQL came back", site.status)


async def test_who_refuses_writes_without_a_lease_is_accounted_for_by_time(site: Site, proxy: TcpProxy) -> None:
    site.on_lapse = "refuse"
    site.want("legacy")
    async with running(site) as found, AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.insert_one({"_id": 1})
        await site.moved_to("dual_write")
        await site.backfilled()
        proxy.cut()

        async def refused() -> bool:
            try:
                await things.update_one({"_id": 1}, {"$inc": {"n": 1}})
            except AutoReconnect as error:
                return "on_lapse" in str(error)
            return False

        await until(refused, "the refusal")

        async def read_no_more() -> bool:
            try:
                await things.find_one({"_id": 1})
            except AutoReconnect as error:
                return "on_lapse" in str(error)
            return False

        await until(read_no_more, "the end of reads")

        async def accounted() -> bool:
            async with site.sql() as conn:
                why = await conn.fetchval("SELECT gone_why FROM shadow.process WHERE id = $1", found.control.node.me.id)
            return why == "lapsed, and refused calls since then"

        site_past_the_proxy = site.postgres
        site.postgres = site.direct
        site.want("dual_write")
        other = Runtime(site.settings)  # conducts in the place of the process that is away
        await asyncio.to_thread(other.start)
        try:
            await until(accounted, "the account", site.status)
        finally:
            await asyncio.to_thread(other.stop)
        site.postgres = site_past_the_proxy
        site.want("dual_write")
        proxy.resume()

        async def written() -> bool:
            return not await refused() and await things.count_documents({"n": {"$gt": 0}}) == 1

        await until(written, "the first write after the outage", site.status)
        await site.quiet()
        await site.equal()
