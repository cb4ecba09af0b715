"""The breaker on real servers: it takes an entity back to where legacy answers, holds it there, and lets go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient as BareClient

from shadow.embedded import PostgresServer
from shadow.pymongo import AsyncMongoClient
from tests.journeys.runtime_support import ENTITY, Site, answered, running, until

RECORDS = 150


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


async def _state(site: Site) -> tuple[str, str | None, str | None]:
    async with site.sql() as conn:
        row = await conn.fetchrow("SELECT phase, step, latch FROM shadow.entity WHERE entity = $1", ENTITY)
    return row["phase"], row["step"], row["latch"]


async def _audit(site: Site) -> list[Any]:
    async with site.sql() as conn:
        rows = await conn.fetch("SELECT who, why, evidence FROM shadow.audit WHERE entity = $1 ORDER BY id", ENTITY)
    return [tuple(row) for row in rows]


async def _nothing_speaks_against_it(site: Site) -> bool:
    """Whether the fleet tells of no mismatch, neither of all time nor lately."""
    async with site.sql() as conn:
        told = "SELECT sum(value) FROM shadow.fact WHERE entity = $1 AND name IN ('mismatches', 'recent:mismatches')"
        return bool(await conn.fetchval(told, ENTITY) == 0)


async def _differ(things: Any, legacy: Any) -> None:
    """Change every record behind Shadow's back, and read all of them through it."""
    await legacy.update_many({}, {"$inc": {"n": 1}})
    for number in range(RECORDS):
        await things.find_one({"_id": number})


@pytest.mark.parametrize("by", ["the flag", "the operator"])
async def test_a_storm_of_mismatches_takes_reads_back_and_holds_them(site: Site, by: str) -> None:
    await site.settled_in("read_new")
    async with running(site) as here, AsyncMongoClient[Any](site.mongo) as client, BareClient[Any](site.mongo) as bare:
        things = client[site.database][ENTITY]
        await answered(lambda: things.find_one({}))
        await things.insert_many([{"_id": number, "n": 0} for number in range(RECORDS)])
        await site.quiet()
        await _differ(things, bare[site.database][ENTITY])

        async def held() -> bool:
            at, step, latch = await _state(site)
            return (at, step) == ("shadow_read", None) and latch is not None

        async def trips() -> bool:
            if (await _state(site))[2] is None:  # a sync that was on its way may have repaired the first ones
                await _differ(things, bare[site.database][ENTITY])
            return await held()

        await until(trips, "the breaker", site.status)
        latch = (await _state(site))[2]
        assert latch is not None and "mismatch rate" in latch and "budget 50.00%" in latch
        assert [latch in evidence for _, why, evidence in await _audit(site) if why == "the breaker trips"] == [True]
        assert latch in await site.told("status", "--json")
        assert here.control.node.membership.held(ENTITY) == latch
        await site.quiet()  # everything that differed was repaired
        assert not await _nothing_speaks_against_it(site)
        await asyncio.sleep(2)
        assert await held(), "the flag still wants more, and does not get it"
        if by == "the operator":
            assert "no longer held" in await site.told("clear", ENTITY, "--why", "the writer was stopped")
            assert (await _state(site))[2] is None
            assert "the writer was stopped" in [why for _, why, _ in await _audit(site)]
            assert "no breaker holds" in await site.told("clear", ENTITY, "--why", "again")

            await until(lambda: _nothing_speaks_against_it(site), "evidence that begins anew", site.status)
        else:
            await site.moved_to("shadow_read")

            async def cleared() -> bool:
                return (await _state(site))[2] is None

            await until(cleared, "the end of the breaker", site.status)
        await site.told("verify", ENTITY)  # what was not read again differs still
        await site.quiet()
        await site.equal()


async def test_a_postgresql_that_does_not_answer_takes_reads_back(
    mongo_uri: str, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, mongo_uri, own_postgres.dsn, own_postgres.dsn, error_rate=0.01)
    await site.prepare()
    await site.settled_in("read_new")
    async with running(site), AsyncMongoClient[Any](site.mongo) as client:
        things = client[site.database][ENTITY]
        await answered(lambda: things.find_one({}))
        await things.insert_one({"_id": 1})
        own_postgres.kill()
        for _ in range(50):
            assert await things.find_one({"_id": 1}) == {"_id": 1}  # legacy answers, and the call is counted
        own_postgres.start()

        async def held() -> bool:
            at, step, latch = await _state(site)
            return (at, step) == ("shadow_read", None) and latch is not None and "without an answer" in latch

        await until(held, "the breaker", site.status)


@pytest.mark.parametrize(("phase", "waived"), [("read_new", ["mismatches"]), ("write_new", [])])
async def test_neither_a_waived_gate_nor_what_speaks_against_legacy_trips_it(
    site: Site, phase: str, waived: list[str]
) -> None:
    site.waived += waived
    await site.settled_in(phase)
    async with running(site), AsyncMongoClient[Any](site.mongo) as client, BareClient[Any](site.mongo) as bare:
        things = client[site.database][ENTITY]
        await answered(lambda: things.find_one({}))
        await things.insert_many([{"_id": number, "n": 0} for number in range(RECORDS)])
        await site.quiet()
        await _differ(things, bare[site.database][ENTITY])
        await site.quiet()
        await asyncio.sleep(3)
        assert await _state(site) == (phase, None, None)
