"""GridFS over configured collections: its files and chunks are records like others, whoever reads and writes them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import gridfs
import pytest
from gridfs.errors import NoFile
from motor.motor_asyncio import AsyncIOMotorClient
from motor.motor_asyncio import AsyncIOMotorGridFSBucket as DriverBucket

import shadow.motor
from tests.journeys.facade_new import NewRouter
from tests.journeys.facade_support import LegacyRouter
from tests.journeys.facade_worlds import Pair

CONTENT = bytes(range(256)) * 40
BUCKETS = {
    "motor": (DriverBucket, shadow.motor.AsyncIOMotorGridFSBucket),
    "pymongo": (gridfs.AsyncGridFSBucket, gridfs.AsyncGridFSBucket),
}


class Routers:
    """A router for each of a bucket's collections."""

    def __init__(self, routers: dict[str, Any]) -> None:
        self.routers = routers

    def router(self, database: str, collection: str) -> Any:
        return self.routers.get(collection)

    def below(self, database: str, collection: str) -> bool:
        return any(name.startswith(f"{collection}.") for name in self.routers)


async def used(bucket: Any) -> list[Any]:
    """What a bucket makes of everything that can be asked of it."""
    seen: list[Any] = []
    await bucket.upload_from_stream_with_id(1, "a.bin", io.BytesIO(CONTENT), chunk_size_bytes=1000, metadata={"m": 1})
    async with bucket.open_upload_stream_with_id(2, "b.bin", chunk_size_bytes=4000) as stream:
        await stream.write(CONTENT[:5000])
        await stream.write(CONTENT[5000:])
    await bucket.upload_from_stream_with_id(3, "a.bin", b"newer")
    out = await bucket.open_download_stream(1)
    seen += [out.length, out.metadata, await out.read(10), await out.readchunk(), await out.read()]
    into = io.BytesIO()
    await bucket.download_to_stream_by_name("a.bin", into, revision=0)
    seen.append(into.getvalue())
    seen.append(await (await bucket.open_download_stream_by_name("a.bin")).read())
    await bucket.rename(2, "c.bin")
    found = bucket.find({}).sort("_id", 1)
    seen.append([(file._id, file.filename, file.length) async for file in found])
    await bucket.delete(1)
    for refused in (lambda: bucket.open_download_stream(1), lambda: bucket.delete(1)):
        try:
            seen.append(await refused())
        except NoFile as error:
            seen.append(type(error))
    seen.append(sorted([(file._id, file.filename) async for file in bucket.find({})]))
    return seen


def bucket(shape: str, which: int, client: Any, name: str) -> Any:
    return BUCKETS[shape][which](client.get_default_database(), bucket_name=name)


@pytest.mark.parametrize("shape", BUCKETS)
async def test_a_bucket_is_the_drivers_and_its_collections_are_routed(shape: str, mongo_uri: str) -> None:
    pair = Pair(shape, mongo_uri, None)
    routers = {"routed.files": LegacyRouter(), "routed.chunks": LegacyRouter()}
    pair.clients[1].__dict__["_shadow_binding"] = Routers(routers)
    bare = await used(bucket(shape, 0, pair.clients[0], "bare"))
    assert await used(bucket(shape, 1, pair.clients[1], "routed")) == bare
    names = {name: {op.name for op in router.seen if not isinstance(op, tuple)} for name, router in routers.items()}
    assert names["routed.files"] >= {"insert_one", "find_one", "find", "delete_one", "update_one", "create_index"}
    assert names["routed.chunks"] >= {"insert_many", "find", "delete_many", "create_index"}
    await pair.close()


async def test_a_bucket_over_a_database_of_motors_own_is_motors(mongo_uri: str) -> None:
    client = AsyncIOMotorClient(mongo_uri)
    assert await used(bucket("motor", 1, client, "bare"))
    client.close()


@pytest.fixture
async def on_new(postgres_dsn: str) -> AsyncIterator[dict[str, NewRouter]]:
    routers = {f"routed.{part}": await NewRouter.make(postgres_dsn, part, f"d.{part}") for part in ("files", "chunks")}
    yield routers
    for router in routers.values():
        await router.pool.close()


async def test_a_bucket_is_the_drivers_on_new(on_new: dict[str, NewRouter], mongo_uri: str) -> None:
    pair = Pair("pymongo", mongo_uri, None)
    pair.clients[1].__dict__["_shadow_binding"] = Routers(on_new)
    bare = await used(bucket("pymongo", 0, pair.clients[0], "bare"))
    assert await used(bucket("pymongo", 1, pair.clients[1], "routed")) == bare
    await pair.close()
