"""What the benchmarks run on: embedded servers, and one entity settled in each phase.

The phases are set up in the control schema before the first process joins; nothing of how calls are served depends on
how an entity came to its phase.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from pymongo import AsyncMongoClient as DriverClient
from pymongo import MongoClient as SyncDriverClient

from shadow import runtime
from shadow.config import load
from shadow.embedded import embedded_mongo, embedded_postgres
from shadow.pymongo import AsyncMongoClient, MongoClient
from shadow.schema import apply

PHASES = ("legacy", "dual_write", "shadow_read", "read_new", "write_new", "new")
RECORDS = 2000


@dataclass(frozen=True, slots=True)
class World:
    """Both sides of every benchmark."""

    bare: Any  # the driver's own client
    shadow: Any  # the façade's
    bare_sync: Any  # both again, of synchronous calls
    shadow_sync: Any
    postgres: Any  # a bare asyncpg connection
    quick: Any  # another, whose commits do not wait for the disk, as marks do not
    runtime: runtime.Runtime
    dsn: str  # of the PostgreSQL of all of it

    async def drained(self, phase: str) -> None:
        """Wait until nothing of the phase's entity waits for a sync or a comparison."""
        while True:
            marks = await self.postgres.fetchval(
                "SELECT count(*) FROM shadow.mark WHERE closed_at IS NULL AND entity = $1", f"bench_{phase}"
            )
            account = self.runtime.entities[f"bench_{phase}"].account.balance()
            if not marks and not account.open:
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start everything; every collection holds the same records."""
    with embedded_mongo() as mongo, embedded_postgres(durable=True) as postgres:
        path = folder / "shadow.toml"
        path.write_text(_configuration(mongo.uri, postgres.dsn, folder))
        os.environ["SHADOW_CONFIG"] = str(path)
        conn = await asyncpg.connect(postgres.dsn)
        await apply(load(path), conn)
        bare: Any = DriverClient(mongo.uri)
        await _fill(bare, conn)
        shadow = AsyncMongoClient(mongo.uri)
        bare_sync: Any = SyncDriverClient(mongo.uri)
        shadow_sync = MongoClient(mongo.uri)
        for phase in PHASES:
            await shadow.bench[phase].find_one({"_id": "k0"})
            shadow_sync.bench[phase].find_one({"_id": "k0"})
        quick = await asyncpg.connect(postgres.dsn, server_settings={"synchronous_commit": "off", "jit": "off"})
        yield World(bare, shadow, bare_sync, shadow_sync, conn, quick, runtime.current(), postgres.dsn)
        await quick.close()
        bare_sync.close()
        shadow_sync.close()
        await shadow.close()
        await bare.close()
        await asyncio.to_thread(runtime.uninstall)
        await conn.close()


def _configuration(mongo: str, postgres: str, folder: Path) -> str:
    entities = "".join(
        f'[entities.bench_{phase}]\nlegacy = {{ mongo = "bench.{phase}" }}\nphase = "{phase}"\nrehearse = false\n'
        for phase in PHASES
    )
    entities += '[entities.bench_wide]\nlegacy = { mongo = "bench.wide" }\nphase = "new"\n'
    return (
        f'[stores]\nmongo = "{mongo}"\npostgres = "{postgres}"\n'
        f'[protocol]\nsettle_seconds = 5.0\njournal = "{folder / "journal"}"\n{entities}'
    )


def record(number: int) -> dict[str, Any]:
    """A record of about 400 bytes."""
    return {"_id": f"k{number}", "n": number, "name": f"record {number}", "tags": ["a", "b", "c"], "text": "x" * 256}


async def _fill(bare: Any, conn: Any) -> None:
    records = [record(number) for number in range(RECORDS)]
    for collection in (*PHASES, "plain"):
        await bare.bench[collection].insert_many(records)
    for name, phase in {**dict(zip(PHASES, PHASES, strict=True)), "wide": "new"}.items():
        await conn.execute(
            "INSERT INTO shadow.entity (entity, phase, backfill) VALUES ($1, $2, 'done') "
            "ON CONFLICT (entity) DO UPDATE SET phase = excluded.phase, backfill = excluded.backfill",
            f"bench_{name}",
            phase,
        )
    await _fill_new(conn, records)


async def _fill_new(conn: Any, records: list[dict[str, Any]]) -> None:
    from shadow.schema import layout_of
    from shadow_adapters.bson.codec import encode
    from shadow_adapters.bson.keys import key_of

    states = {key_of(each["_id"]): encode(each) for each in records}
    for entity in load().entities.values():
        if entity.name not in ("bench_legacy", "bench_wide"):
            layout = layout_of(entity)
            await layout.insert_absent(conn, entity.name, 1, states)
    await conn.execute("TRUNCATE shadow.mark")
    await conn.execute("UPDATE shadow.debt SET paid_at = now()")
    await conn.execute("CREATE TABLE bench_rows (id uuid PRIMARY KEY, key text NOT NULL, at timestamptz NOT NULL)")
    await conn.execute("CREATE TABLE bench_sql (k text PRIMARY KEY, doc jsonb NOT NULL)")
    rows = [(each["_id"], json.dumps(each)) for each in records]
    await conn.executemany("INSERT INTO bench_sql VALUES ($1, $2)", rows)
