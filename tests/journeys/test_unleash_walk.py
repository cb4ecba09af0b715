"""A collection is moved by what an operator does in a real Unleash: variants, weights, the flag turned off."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from shadow import runtime
from shadow.config import Settings
from shadow.embedded_unleash import UnleashHandle
from shadow.metrics.prometheus import registry
from shadow.pymongo import AsyncMongoClient
from shadow.schema import apply
from shadow_flags.phases import Phase
from shadow_flags.sources.unleash_admin import UnleashAdmin
from shadow_flags.sources.unleash_flags import flag_of
from tests.contract.unleash_fixtures import admin, unleash
from tests.journeys.runtime_support import until

__all__ = ["admin", "unleash"]

_RECORDS = 400


def _settings(entity: str, mongo: str, postgres: str, unleash: UnleashHandle, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "stores": {"mongo": mongo, "postgres": postgres},
            "flags": {
                "source": "unleash",
                "url": unleash.url,
                "token": unleash.client_token,
                "refresh_seconds": 1,
                "cache": folder / "cache",
            },
            "protocol": {
                "settle_seconds": 1,
                "renew_seconds": 0.3,
                "lease_seconds": 2,
                "journal": folder / "journals",
            },
            "gates": {"mismatch_rate": 0.5, "rehearsal_rate": 0.5, "p99_ratio": 100, "waived": ["clients"]},
            "entities": {entity: {"legacy": {"mongo": f"{urlsplit(mongo).path.strip('/')}.things"}}},
        }
    )


@pytest.mark.timeout(300)
async def test_the_dashboard_moves_a_collection_and_the_flag_turned_off_brings_reads_back(
    mongo_uri: str, postgres_dsn: str, unleash: UnleashHandle, admin: UnleashAdmin, tmp_path: Path
) -> None:
    entity = f"e{uuid.uuid4().hex[:12]}"
    settings = _settings(entity, mongo_uri, postgres_dsn, unleash, tmp_path)
    conn: Any = await asyncpg.connect(postgres_dsn)
    await apply(settings, conn)
    await asyncio.to_thread(admin.want, entity, {Phase.DUAL_WRITE: 100})
    here = runtime.install(settings)
    client = AsyncMongoClient(mongo_uri)
    things = client.get_default_database().things
    try:
        await things.insert_many([{"_id": number, "n": 0} for number in range(_RECORDS)])

        async def reached(phase: Phase) -> None:
            async def there() -> bool:
                await things.update_one({"_id": 1}, {"$inc": {"n": 1}})
                row = await conn.fetchrow("SELECT phase, step FROM shadow.entity WHERE entity = $1", entity)
                return row is not None and row["phase"] == phase and row["step"] is None

            await until(there, f"phase {phase}", lambda: _blocked(here, entity))

        async def read_all() -> set[str]:
            """Which stores answered a read of every record."""
            before = dict(_answers(entity))
            for number in range(_RECORDS):
                assert (await things.find_one({"_id": number}))["_id"] == number
            return {store for store, count in _answers(entity).items() if count > before.get(store, 0)}

        await reached(Phase.DUAL_WRITE)
        await asyncio.to_thread(admin.want, entity, {Phase.SHADOW_READ: 100})
        await reached(Phase.SHADOW_READ)
        assert await read_all() == {"legacy"}

        await asyncio.to_thread(admin.want, entity, {Phase.SHADOW_READ: 50, Phase.READ_NEW: 50})
        await reached(Phase.READ_NEW)
        assert await read_all() == {"legacy", "new"}

        await asyncio.to_thread(admin.toggle, flag_of(entity), on=False)

        async def back() -> bool:
            return await read_all() == {"legacy"}

        await until(back, "reads back on legacy", lambda: _blocked(here, entity))
        await reached(Phase.DUAL_WRITE)
    finally:
        await client.close()
        await asyncio.to_thread(runtime.uninstall)
        await conn.close()


def _answers(entity: str) -> dict[str, float]:
    """Reads by the store that answered, as the metrics count them."""
    counts: dict[str, float] = {}
    for metric in registry().collect():
        for sample in metric.samples:
            labels = sample.labels
            if sample.name == "shadow_operations_total" and labels["entity"] == entity and labels["op"] == "find_one":
                counts[labels["store"]] = counts.get(labels["store"], 0.0) + sample.value
    return counts


async def _blocked(here: runtime.Runtime, entity: str) -> str:
    wanted = here.entities[entity].wanted
    return f"blocked {here.control.told.blocked}; wanted known={wanted.known} aim={wanted.routes.aim} off={wanted.off}"
