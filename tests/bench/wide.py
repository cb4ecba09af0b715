"""A collection of 100,000 records in phase ``new``: beside hand-written SQL, and beside FerretDB where Go is there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from pymongo import AsyncMongoClient as DriverClient

from tests.bench.ferretdb import ferretdb
from tests.bench.measure import Call, Case
from tests.bench.world import World

RECORDS = 100_000
_PRIME = 7919
_CHUNK = 1000

_FIND = "new find range sort limit 20 on an index"
_GROUP = "new aggregate group 100000"
_INSERT = "new insert_many 1000"
NAMES = (_FIND, _GROUP, _INSERT)
_AGAINST = " against FerretDB"

_PIPELINE = [{"$group": {"_id": "$group", "sum": {"$sum": "$n"}, "count": {"$sum": 1}}}]
_N = "(doc->>'n')::bigint"

_fresh = count(RECORDS)
"""Numbers of records that are nowhere yet: one collection is measured against two others."""


def _record(number: int) -> dict[str, Any]:
    """A record of about 300 bytes; ``n`` goes through all numbers in no order."""
    n = number * _PRIME % RECORDS
    return {"_id": number, "n": n, "group": number % 100, "name": f"record {number}", "text": "x" * 200}


async def wide_cases(world: World, only: str) -> AsyncIterator[Case]:
    """The cases whose name holds ``only``; the records are made for the first of them."""
    if not any(only in name + _AGAINST for name in NAMES):
        return
    ours = world.shadow.bench.wide
    await _fill(ours)
    await _fill_sql(world.postgres)
    async for case in _chosen(only, "", _sql(world.postgres), _mongo(ours)):
        yield case
    async with ferretdb(world.dsn) as uri:
        if uri is not None:
            client: Any = DriverClient(uri)
            theirs = client.bench.wide
            await _fill(theirs)
            async for case in _chosen(only, _AGAINST, _mongo(theirs), _mongo(ours)):
                yield case
            await client.close()


async def _chosen(only: str, against: str, bare: dict[str, Call], shadow: dict[str, Call]) -> AsyncIterator[Case]:
    many = {_FIND: 1 if against else 100, _GROUP: 2, _INSERT: 3}  # FerretDB looks at every record for a range
    for name in NAMES:
        if only in name + against:
            yield Case(name + against, bare[name], shadow[name], per_block=many[name], blocks=6)


def _mongo(things: Any) -> dict[str, Call]:

    async def find(n: int) -> Any:
        low = n * _PRIME % RECORDS
        return await things.find({"n": {"$gte": low, "$lt": low + 500}}).sort("n", 1).limit(20).to_list(None)

    async def group(_: int) -> Any:
        cursor = things.aggregate(_PIPELINE)
        found = await (await cursor).to_list(None)
        assert len(found) == 100
        return found

    async def insert(_: int) -> Any:
        numbers = [next(_fresh) for _ in range(1000)]
        return await things.insert_many([_record(number) | {"_id": f"fresh {number}"} for number in numbers])

    return {_FIND: find, _GROUP: group, _INSERT: insert}


def _sql(conn: Any) -> dict[str, Call]:
    select = f"SELECT doc FROM bench_wide WHERE {_N} >= $1 AND {_N} < $2 ORDER BY {_N} LIMIT 20"
    groups = f"SELECT doc->>'group', sum({_N}), count(*) FROM bench_wide GROUP BY 1"
    add = "INSERT INTO bench_wide SELECT * FROM unnest($1::text[], $2::jsonb[])"

    async def find(n: int) -> Any:
        low = n * _PRIME % RECORDS
        return [json.loads(row[0]) for row in await conn.fetch(select, low, low + 500)]

    async def group(_: int) -> Any:
        found = await conn.fetch(groups)
        assert len(found) == 100
        return found

    async def insert(_: int) -> Any:
        records = [_record(next(_fresh)) for _ in range(1000)]
        return await conn.execute(add, [f"fresh {r['_id']}" for r in records], [json.dumps(r) for r in records])

    return {_FIND: find, _GROUP: group, _INSERT: insert}


async def _fill(things: Any) -> None:
    await things.create_index("n")
    for first in range(0, RECORDS, _CHUNK):
        await things.insert_many([_record(number) for number in range(first, first + _CHUNK)])


async def _fill_sql(conn: Any) -> None:
    await conn.execute("CREATE TABLE bench_wide (k text PRIMARY KEY, doc jsonb NOT NULL)")
    await conn.execute(f"CREATE INDEX ON bench_wide (({_N}))")
    rows = ((f"k{number}", json.dumps(_record(number))) for number in range(RECORDS))
    await conn.executemany("INSERT INTO bench_wide VALUES ($1, $2)", rows)
    await conn.execute("ANALYZE")
