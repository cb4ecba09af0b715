"""One collection through all six phases and back, under traffic through both façades, on real servers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymongo import MongoClient

from shadow import runtime
from shadow.metrics.prometheus import registry
from shadow.motor import AsyncIOMotorClient
from shadow.pymongo import AsyncMongoClient
from shadow.runtime import Runtime
from shadow.schema import layout_of
from shadow_adapters.bson.codec import decode
from shadow_adapters.bson.keys import key_of
from tests.journeys.runtime_support import ENTITY, Site, running, until
from tests.journeys.runtime_traffic import Traffic, Worker, percentile

THERE_AND_BACK = [
    *("dual_write", "shadow_read", "read_new", "write_new"),
    *("read_new", "shadow_read", "dual_write", "legacy"),
]
TO_THE_END = ["dual_write", "shadow_read", "read_new", "write_new", "new"]


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str, request: pytest.FixtureRequest) -> Site:
    table = getattr(request, "param", "") == "table"
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn, table=table)
    await made.prepare()
    return made


@asynccontextmanager
async def traffic_on(site: Site, *, each: int = 2) -> AsyncIterator[Traffic]:
    """Workers through both façades."""
    motor, pymongo = AsyncIOMotorClient(site.mongo), AsyncMongoClient(site.mongo)
    workers = [Worker(f"motor {n}", motor, site.database, ENTITY, n) for n in range(each)]
    workers += [Worker(f"pymongo {n}", pymongo, site.database, ENTITY, 100 + n) for n in range(each)]
    try:
        async with Traffic(workers) as traffic:
            yield traffic
    finally:
        motor.close()
        await pymongo.close()


async def equal_stores(site: Site, traffic: Traffic, phase: str) -> int:
    """Both stores hold the ledger, to the byte; in phases without a follower the authority does."""
    await site.quiet()
    legacy, new = await site.stores()
    ledger = {key_of(identity): record for identity, record in traffic.ledger.items()}
    truth = new if phase == "new" else legacy
    assert {key: decode(record)["n"] for key, record in truth.items()} == {k: v["n"] for k, v in ledger.items()}
    if phase not in ("legacy", "new"):
        await site.equal()
    return len(truth)


async def confirmed(site: Site) -> list[str]:
    """Mismatches that were confirmed. There must be none."""
    async with site.sql() as conn:
        rows = await conn.fetch("SELECT DISTINCT op, kind, explanation FROM shadow.sample WHERE state = 'confirmed'")
    return [" ".join(row) for row in rows]


async def balanced(found: Runtime) -> None:
    """The account of comparisons closes: every sample has ended in one way."""

    async def closed() -> bool:
        return found.entities[ENTITY].account.balance().open == 0

    await until(closed, "the end of every comparison")


@pytest.mark.parametrize("site", ["documents", "table"], indirect=True)
@pytest.mark.parametrize(
    ("way", "steps"),
    [
        pytest.param(THERE_AND_BACK, 15, id="there_and_back", marks=pytest.mark.timeout(500)),
        pytest.param(TO_THE_END, 15, id="to_the_end", marks=pytest.mark.timeout(500)),
        pytest.param(
            [*THERE_AND_BACK, *TO_THE_END], 400, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]
        ),
    ],
)
async def test_a_walk_under_traffic_loses_nothing(site: Site, way: list[str], steps: int) -> None:
    async with running(site) as found, traffic_on(site) as traffic:
        await traffic.steps(steps)
        for phase in way:
            await site.moved_to(phase)
            await traffic.steps(steps)
            assert traffic.errors == []
            if phase == "dual_write":
                await site.backfilled()
            async with traffic.paused():
                records = await equal_stores(site, traffic, phase)
                await balanced(found)
                if phase == "read_new":
                    assert "0 missing, 0 extra, 0 different" in await site.told("verify", ENTITY)
            waits = traffic.waits()
            print(
                f"{phase:12} {len(waits):6} calls, p50 {1e3 * percentile(waits, 0.5):6.1f} ms, "
                f"p99 {1e3 * percentile(waits, 0.99):6.1f} ms, longest {1e3 * max(waits):6.0f} ms, {records} records"
            )
        assert not await confirmed(site)
        assert not found.entities[ENTITY].unsupported
        fences = [seconds for entity, seconds, moved in found.control.told.fences if moved]
        print(f"fences {[round(1e3 * each) for each in fences]} ms, {traffic.seen()}")
        print(f"comparisons {found.entities[ENTITY].account.balance()}")


async def test_the_way_back_is_open_while_writes_never_pause(site: Site) -> None:
    """PostgreSQL takes writes faster than legacy can: the syncs keep up, or the writers wait for them."""
    async with running(site), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        ledger = dict.fromkeys(range(2000), 0)
        await things.insert_many([{"_id": n, "n": 0} for n in ledger])
        await site.moved_to("dual_write")
        await site.backfilled()
        flooding = True

        async def flood(first: int) -> None:
            while flooding:
                one = random.randrange(first, 2000, 24)
                await things.update_one({"_id": one}, {"$inc": {"n": 1}})
                ledger[one] += 1
                found = await things.find_one({"_id": one})
                assert found == {"_id": one, "n": ledger[one]}

        async with asyncio.TaskGroup() as tasks:
            for first in range(24):
                tasks.create_task(flood(first))
            for phase in ("shadow_read", "read_new", "write_new"):
                await site.moved_to(phase)
            await asyncio.sleep(4)
            for phase in ("read_new", "shadow_read"):
                await site.moved_to(phase)
            flooding = False
        await site.quiet()
        records = await site.equal()
        assert {decode(record)["_id"]: decode(record)["n"] for record in records.values()} == ledger


async def test_a_method_that_new_does_not_serve_blocks_the_advance_and_is_named(site: Site) -> None:
    async with running(site), AsyncMongoClient(site.mongo) as client, traffic_on(site, each=1) as traffic:
        things = client[site.database][ENTITY]
        await things.insert_many([{"_id": n, "n": n, "owner": "nobody"} for n in range(3)])
        await site.moved_to("dual_write")
        assert len([batch async for batch in things.find_raw_batches({"owner": "nobody"})]) == 1
        await client[site.database].command("collMod", ENTITY, check=False)

        async def owes() -> bool:
            return bool(await site.debts())

        await until(owes, "the debt of a write that nobody can follow", site.status)
        await site.moved_to("shadow_read")
        await traffic.steps(15)

        site.want("read_new")

        async def named() -> bool:
            told = await site.told("status")
            return "find_raw_batches (1)" in told and "collMod (1)" in told and "shadow_read" in told

        await until(named, "the status that names what is not served", site.status)
        await traffic.steps(15)
        assert await site.phase() == ("shadow_read", None)
        async with traffic.paused():
            await site.quiet()
            records = await site.equal()
        assert key_of(1) in records
        assert traffic.errors == []


async def test_a_client_that_is_not_shadows_blocks_the_first_step_until_it_is_waived(site: Site) -> None:
    site.waived = []
    site.want("legacy")
    with MongoClient[dict[str, object]](site.mongo, appname="the nightly job") as stranger:
        stranger.admin.command("ping")
        async with running(site), AsyncMongoClient(site.mongo) as client:
            await client[site.database][ENTITY].insert_one({"_id": 1})
            site.want("dual_write")

            async def named() -> bool:
                return "the nightly job PyMongo" in await site.told("status", "--json")

            await until(named, "the status that names the client", site.status)
            assert await site.phase() == ("legacy", None)
        site.waived = ["clients"]
        site.want("legacy")
        async with running(site), AsyncMongoClient(site.mongo) as client:
            await client[site.database][ENTITY].insert_one({"_id": 2})
            await site.moved_to("dual_write")


async def test_a_divergence_behind_shadows_back_is_found_and_repaired_and_said_to_be(site: Site) -> None:
    async with running(site), AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.insert_many([{"_id": n} for n in range(3)])
        await site.moved_to("dual_write")
        await site.backfilled()
        await site.moved_to("shadow_read")
        await site.quiet()
        async with site.sql() as conn:
            table = layout_of(site.settings.entities[ENTITY]).table
            assert await conn.execute(f"DELETE FROM {table} WHERE k = $1", key_of(1)) == "DELETE 1"
            assert await things.find_one({"_id": 1}) == {"_id": 1}

            async def repaired() -> bool:
                query = "SELECT kind, repaired_at > at AS repaired FROM shadow.sample WHERE state = 'confirmed'"
                return [tuple(row) for row in await conn.fetch(query)] == [("missing", True)]

            await until(repaired, "the sample that says that it is repaired", site.status)
            number = await conn.fetchval("SELECT id FROM shadow.sample WHERE replay IS NOT NULL")
        await site.equal()
        listed = await site.told("samples", ENTITY)
        assert "find_one" in listed and "missing" in listed
        assert "test_mismatch" in await site.told("samples", "--export", str(number), "--to", "test_mismatch.py")
    exported = (site.folder / "test_mismatch.py").read_text("utf-8")
    assert "'legacy': [{'_id': {'$numberInt': '1'}}]" in exported and "'new': []" in exported


async def test_every_call_in_legacy_is_counted_those_that_go_directly_too(site: Site) -> None:
    def counted(name: str) -> float:
        metrics = (metric for metric in registry().collect() if f"{metric.name}_total" == name)
        samples = (sample for metric in metrics for sample in metric.samples if sample.name == name)
        return sum(sample.value for sample in samples if sample.labels["entity"] == ENTITY)

    async with running(site) as found, AsyncMongoClient(site.mongo) as client:
        things = client[site.database][ENTITY]
        await things.insert_one({"_id": 0})  # the first of a process goes through the router

        async def known() -> bool:
            return found.control.node.views[ENTITY].known

        await until(known, "the phase")
        before = {name: counted(name) for name in ("shadow_direct_total", "shadow_operations_total")}
        for n in range(1, 11):
            await things.insert_one({"_id": n})
            assert await things.find_one({"_id": n}) == {"_id": n}
            assert len(await things.find({"_id": {"$lte": n}}, batch_size=2).to_list(None)) == n + 1

        async def all_of_them() -> bool:
            return sum(counted(name) - value for name, value in before.items()) == 30

        await until(all_of_them, "the count of all calls")
        assert counted("shadow_direct_total") - before["shadow_direct_total"] > 0


async def test_a_process_leaves_the_fleet_when_its_runtime_ends(site: Site) -> None:
    async with running(site) as found, AsyncMongoClient(site.mongo) as client:
        await client[site.database][ENTITY].insert_one({"_id": 1})
        me = found.control.node.me.id
    async with site.sql() as conn:
        assert await conn.fetchval("SELECT gone_why FROM shadow.process WHERE id = $1", me) == "goodbye"
    assert not (site.journals / f"{me}.journal").exists()
    assert runtime.runtime._current is None
