"""A cursor over a million documents holds a batch of them, whichever store it streams from."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from shadow.schema import layout_of
from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.keys import key_of
from tests.journeys.runtime_support import ENTITY, Site

_DOCUMENTS = 1_000_000
_CHUNK = 5000
_MIB = 1024 * 1024
_ALLOWED = 16 * _MIB
"""Growth in bytes between the first tenth and the end; the documents take some hundred mebibytes as Python objects."""

READER = """
import asyncio, json, sys
from shadow.pymongo import AsyncMongoClient

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main(uri, database, collection):
    async with AsyncMongoClient(uri) as client:
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
    phase: str, tmp_path: Path, mongo_uri: str, postgres_dsn: str
) -> None:
    site = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await site.prepare()
    await site.settled_in(phase)
    await (_fill_legacy if phase == "legacy" else _fill_new)(site)
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READER, site.mongo, site.database, ENTITY),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"SHADOW_CONFIG": str(site.config)},
    )
    out, _ = await reader.communicate()
    seen = json.loads(out)
    grown = seen["most"] - seen["first"]
    print(f"{phase}: {seen['count']} documents, {seen['first'] / _MIB:.1f} MiB, then {grown / _MIB:+.1f} MiB at most")
    assert seen["count"] == _DOCUMENTS
    assert seen["total"] == _DOCUMENTS * (_DOCUMENTS - 1) // 2
    assert grown < _ALLOWED


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
