"""A cursor over a million documents holds a batch of them, whichever store it streams from.

MongoDB sends up to 16 MiB in a batch, some 200,000 of these documents: what the driver alone holds of them, its façade
may hold in `legacy`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from shadow.embedded import MongoServer
from shadow.schema import layout_of
from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.keys import key_of
from tests.journeys.runtime_support import ENTITY, Site

_DOCUMENTS = 1_000_000
_CHUNK = 5000
_MIB = 1024 * 1024
_ALLOWED = 16 * _MIB
"""Growth in bytes after the first tenth, beside that of the driver alone; all documents take half a gibibyte."""

READER = """
import asyncio, importlib, json, sys

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main(driver, uri, database, collection):
    async with importlib.import_module(driver).AsyncMongoClient(uri) as client:
        count = total = first = most = 0
        async for document in client[database][collection].find({"n": {"$gte": 0}}):
            count += 1
            total += document["n"]
            if count % 10_000 == 0:
                now = resident()
                most = max(most, now)
                if count == 100_000:
                    first = now
        print(json.dumps({"count": count, "total": total, "first": first, "most": most}))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("phase", ["legacy", "new"])
async def test_a_cursor_over_a_million_documents_holds_few(
    phase: str, tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str
) -> None:
    site = Site(tmp_path, own_mongo.uri_for("million"), postgres_dsn, postgres_dsn)
    await site.prepare()
    await site.settled_in(phase)
    await (_fill_legacy if phase == "legacy" else _fill_new)(site)
    grown = await _growth(site, "shadow.pymongo", phase)
    allowed = _ALLOWED + (await _growth(site, "pymongo", "the driver alone") if phase == "legacy" else 0)
    assert grown < allowed


async def _growth(site: Site, driver: str, who: str) -> int:
    """By how many bytes a process that reads them all grows after the first tenth."""
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READER, driver, site.mongo, site.database, ENTITY),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"SHADOW_CONFIG": str(site.config)},
    )
    out, _ = await reader.communicate()
    seen = json.loads(out)
    grown: int = seen["most"] - seen["first"]
    print(f"{who}: {seen['count']} documents, {seen['first'] / _MIB:.1f} MiB, then {grown / _MIB:+.1f} MiB at most")
    assert seen["count"] == _DOCUMENTS
    assert seen["total"] == _DOCUMENTS * (_DOCUMENTS - 1) // 2
    return grown


def _document(number: int) -> dict[str, Any]:
    return {"_id": number, "n": number, "name": f"record {number}", "tags": ["a", "b"]}


async def _fill_legacy(site: Site) -> None:
    async with AsyncMongoClient[dict[str, Any]](site.mongo) as client:
        for first in range(0, _DOCUMENTS, _CHUNK):
            await client[site.database][ENTITY].insert_many(map(_document, range(first, first + _CHUNK)))


async def _fill_new(site: Site) -> None:
    layout = layout_of(site.settings.entities[ENTITY])
    async with site.sql() as conn:
        for first in range(0, _DOCUMENTS, _CHUNK):
            records = {key_of(number): encode(_document(number)) for number in range(first, first + _CHUNK)}
            await layout.insert_absent(conn, ENTITY, 1, records)
