"""Samples of mismatches in PostgreSQL: bounded, redacted, repaired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from shadow.compare.differ import difference
from shadow.compare.difference import Difference
from shadow.compare.judge import Verdict
from shadow.compare.kinds import RECORD, Kind, State
from shadow.compare.samples import Sampler
from shadow.metrics.prometheus import PrometheusSink
from shadow_adapters.failures import StoreDown
from shadow_adapters.postgres.samples import (
    NewSample,
    find_sample,
    insert_samples,
    list_samples,
    note_repaired,
    samples_ddl,
)


@pytest.fixture
async def connection(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(samples_ddl())
    yield connection
    await connection.close()


def sample(state: str = "confirmed", key: bytes | None = b"k", op: str = "find_one") -> NewSample:
    return NewSample(op, "value", state, "a.b", key, "a.b: int:1a2b -> int:3c4d")


async def test_the_ddl_may_be_run_again_and_keeps_the_salt(connection: asyncpg.Connection) -> None:
    await insert_samples(connection, "agents", [sample()], keep=10)
    before = await connection.fetchval("SELECT shadow.sample_hash('agents', 'k')")
    await connection.execute(samples_ddl())
    assert await connection.fetchval("SELECT shadow.sample_hash('agents', 'k')") == before
    assert len(await list_samples(connection)) == 1


async def test_what_is_stored_is_listed_newest_first_with_its_key_hashed(connection: asyncpg.Connection) -> None:
    await insert_samples(connection, "agents", [sample(), sample("noise", None, "find")], keep=10)
    await insert_samples(connection, "sessions", [sample()], keep=10)
    agents = await list_samples(connection, "agents")
    assert [(s.op, s.state, s.key_hash is None) for s in agents] == [
        ("find", "noise", True),
        ("find_one", "confirmed", False),
    ]
    everything = await list_samples(connection)
    assert [s.entity for s in everything] == ["sessions", "agents", "agents"]
    assert everything[0].key_hash != agents[1].key_hash, "one key of two entities must not look the same"
    assert len(await list_samples(connection, limit=1)) == 1


async def test_no_more_than_so_many_are_kept_and_confirmed_ones_longest(connection: asyncpg.Connection) -> None:
    await insert_samples(connection, "other", [sample()], keep=3)
    await insert_samples(connection, "agents", [sample(op="first")], keep=3)
    for _ in range(4):
        await insert_samples(connection, "agents", [sample("in_flight")] * 2, keep=3)
    kept = await list_samples(connection, "agents")
    assert [s.state for s in kept] == ["in_flight", "in_flight", "confirmed"]
    await insert_samples(connection, "agents", [sample(op=str(i)) for i in range(5)], keep=3)
    assert [s.op for s in await list_samples(connection, "agents")] == ["4", "3", "2"]
    assert len(await list_samples(connection, "other")) == 1


async def test_writers_at_the_same_time_leave_no_more_either(connection: asyncpg.Connection, postgres_dsn: str) -> None:
    async with asyncpg.create_pool(postgres_dsn, min_size=4, max_size=4) as pool:

        async def write() -> None:
            async with pool.acquire() as other:
                await insert_samples(other, "agents", [sample()] * 3, keep=5)

        await asyncio.gather(*(write() for _ in range(12)))
    assert len(await list_samples(connection)) == 5


async def test_a_case_is_kept_with_its_sample(connection: asyncpg.Connection) -> None:
    with_case = NewSample("find", "value", "confirmed", "a", b"k", "a: ...", '{"op": "find"}')
    await insert_samples(connection, "agents", [sample(), with_case], keep=10)
    newest, other = await list_samples(connection)
    assert (newest.replay, other.replay) == ('{"op": "find"}', None)
    assert await find_sample(connection, newest.id) == newest
    assert await find_sample(connection, newest.id + 1) is None


async def test_a_repair_is_noted_on_the_confirmed_samples_of_its_keys(connection: asyncpg.Connection) -> None:
    await insert_samples(
        connection, "agents", [sample(), sample("noise"), sample(key=b"other"), sample(key=None)], keep=10
    )
    await insert_samples(connection, "sessions", [sample()], keep=10)
    await note_repaired(connection, "agents", [b"k"])
    repaired = [s for s in await list_samples(connection) if s.repaired_at is not None]
    assert [(s.entity, s.state) for s in repaired] == [("agents", "confirmed")]
    assert repaired[0].repaired_at is not None and repaired[0].repaired_at >= repaired[0].at


async def test_a_mismatch_travels_from_the_differ_to_the_table_without_its_values(
    connection: asyncpg.Connection,
) -> None:
    async def store(batch: list[NewSample]) -> None:
        await insert_samples(connection, "agents", batch, keep=10)

    sampler = Sampler("agents", store, PrometheusSink(CollectorRegistry()))  # type: ignore[arg-type]
    found = difference(RECORD, {"_id": "ann@example.org", "a": "hunter2"}, {"_id": "ann@example.org", "a": "hunter3"})
    sampler.take("find_one", Verdict(found, State.CONFIRMED, b"ann@example.org"))
    sampler.take("find_one", Verdict())
    await sampler.flush()
    await sampler.flush()
    (stored,) = await list_samples(connection, "agents")
    assert (stored.kind, stored.state, stored.path) == ("value", "confirmed", "a")
    text = str(await connection.fetch("SELECT s::text FROM shadow.sample s"))
    assert "hunter" not in text and "ann" not in text and b"ann".hex() not in text


async def test_what_cannot_be_held_or_stored_is_counted() -> None:
    async def store(_: object) -> None:
        raise StoreDown("away")

    registry = CollectorRegistry()
    sampler = Sampler("agents", store, PrometheusSink(registry), room=3)
    for _ in range(5):
        sampler.take("find_one", Verdict(Difference(Kind.VALUE, "a", 1, 2), State.CONFIRMED, b"k"))
    assert registry.get_sample_value("shadow_samples_dropped_total", {"entity": "agents"}) == 2
    with pytest.raises(StoreDown):
        await sampler.flush()
    assert registry.get_sample_value("shadow_samples_dropped_total", {"entity": "agents"}) == 5
