"""What a façade's objects lead to: other collections, databases, options, counted methods, cursors of every kind."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from bson import DBRef
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from pymongo import InsertOne

from shadow.facade.elsewhere import reach_of_bulk, reach_of_command, written_by
from tests.journeys.facade_support import LegacyRouter, outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, pair_on


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str) -> AsyncIterator[Pair]:
    async with pair_on(request.param, mongo_uri, LegacyRouter()) as made:
        yield made


async def test_a_collection_that_is_not_configured_is_the_drivers_own(pair: Pair) -> None:
    database = pair.clients[1].get_default_database()
    plain = database["other"]
    assert type(plain) is type(pair.bare)
    assert plain.database == database
    assert type(plain.database["routed"]) is type(pair.facade)
    assert type(database.other) is type(pair.bare) and type(database.get_collection("other")) is type(pair.bare)


async def test_every_way_to_a_configured_collection_is_a_facade(pair: Pair) -> None:
    client, name = pair.clients[1], pair.facade.database.name
    ways = [
        client[name]["routed"],
        client[name].routed,
        getattr(client, name).get_collection("routed"),
        client.get_database(name)["routed"],
        client[name].with_options(codec_options=CodecOptions(tz_aware=True))["routed"],
        pair.facade.with_options(codec_options=CodecOptions(tz_aware=True)),
        pair.facade.sub,
        pair.facade["sub"],
    ]
    assert {type(way) for way in ways} == {type(pair.facade)}
    assert ways[0] == pair.facade and hash(ways[0]) == hash(pair.facade)
    assert ways[-1].name == "routed.sub"
    assert ways[4].codec_options.tz_aware and ways[5].codec_options.tz_aware
    assert repr(type(pair.facade).__name__) == repr(type(pair.bare).__name__)


async def test_a_created_collection_is_a_facade_and_a_dropped_one_is_counted(pair: Pair) -> None:
    database = pair.clients[1].get_default_database()
    made = await database.create_collection("routed_made")
    assert type(made) is type(pair.facade)
    await database.drop_collection("routed_made")
    await database.drop_collection("other")
    await database.drop_collection(pair.facade)
    assert [op.name for op in pair.router.seen] == ["create_collection", "drop", "drop"]


async def test_options_of_the_collection_shape_what_is_sent_and_returned(pair: Pair) -> None:
    options: CodecOptions[Any] = CodecOptions(
        document_class=SON, tz_aware=True, uuid_representation=UuidRepresentation.STANDARD
    )
    bare, facade = (collection.with_options(codec_options=options) for collection in (pair.bare, pair.facade))
    document = {
        "_id": uuid.UUID(int=7),
        "at": datetime.datetime(2024, 1, 2, 3, 4, 5, 678901, datetime.UTC),
        "ref": DBRef("x", 1),
    }
    for collection in (bare, facade):
        await collection.insert_one(dict(document))
    assert await bare.find_one(document["_id"]) == await facade.find_one(document["_id"])
    assert type(await facade.find_one(document["_id"])) is SON
    raw = pair.facade.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    assert type(await raw.find_one({"_id": 1})) is RawBSONDocument
    insert = next(op for op in pair.router.seen if op.name == "insert_one")
    assert insert.targets()[0].id.subtype == 4


async def test_an_aggregation_is_counted_on_what_it_reads_and_what_it_writes(pair: Pair) -> None:
    async def run(collection: Any, pipeline: list[Any]) -> list[Any]:
        cursor = collection.aggregate(pipeline)
        cursor = await cursor if hasattr(cursor, "__await__") else cursor
        return [document async for document in cursor]

    pipeline = [{"$match": {"a": 2}}, {"$sort": {"_id": 1}}, {"$project": {"a": 1}}]
    assert await run(pair.facade, pipeline) == await run(pair.bare, pipeline)
    await run(pair.facade, [{"$match": {}}, {"$out": "elsewhere"}])
    assert [op.name for op in pair.router.seen[:1]] == ["aggregate"]
    assert pair.router.seen[1:] == [("on legacy", False)]
    await run(pair.facade, [{"$match": {}}, {"$out": "routed_out"}])
    assert pair.router.seen[2:] == [("on legacy", True), ("on legacy", False)]
    assert await pair.clients[0].get_default_database()["routed_out"].count_documents({}) == 4


async def test_cursors_that_new_does_not_serve_are_counted(pair: Pair) -> None:
    batches = [batch async for batch in pair.facade.find_raw_batches({}, batch_size=2)]
    assert len(batches) >= 2
    await pair.facade.find({"_id": 1}).explain()
    indexes = pair.facade.list_indexes()
    indexes = await indexes if hasattr(indexes, "__await__") else indexes
    assert [index["name"] async for index in indexes] == ["_id_"]
    names = [seen[0] if isinstance(seen, tuple) else seen.name for seen in pair.router.seen]
    assert names == ["find_raw_batches", "explain", "list_indexes"]


async def test_a_change_stream_is_counted_once(pair: Pair) -> None:
    stream = pair.facade.watch(max_await_time_ms=50)
    stream = await stream if hasattr(stream, "__await__") else stream
    async with stream:
        await stream.try_next()
        await pair.raw.insert_one({"_id": 100})
        assert (await stream.next())["documentKey"] == {"_id": 100}
    assert pair.router.seen == [("watch", False)]


async def test_a_change_stream_of_a_database_or_a_client_is_counted_on_its_collections(pair: Pair) -> None:
    database = pair.clients[1].get_default_database()
    for watching in (database.watch, pair.clients[1].watch):
        pair.router.seen.clear()
        stream = watching(max_await_time_ms=50)
        stream = await stream if hasattr(stream, "__await__") else stream
        async with stream:
            await stream.try_next()
            await pair.raw.insert_one({"_id": 200})
            await pair.raw.delete_many({"_id": {"$gt": 99}})
            assert (await stream.next())["ns"]["coll"] == "routed"
        assert pair.router.seen == [("watch", False)]


async def test_an_aggregation_of_a_database_is_counted_on_what_it_reads(pair: Pair) -> None:
    database = pair.clients[1].get_default_database()
    lookup = {"from": "routed", "localField": "k", "foreignField": "_id", "as": "found"}
    cursor = database.aggregate([{"$documents": [{"k": 1}]}, {"$lookup": lookup}])
    cursor = await cursor if hasattr(cursor, "__await__") else cursor
    assert [len(each["found"]) async for each in cursor] == [1]
    assert pair.router.seen == [("aggregate", False)]


async def test_connections_are_named(pair: Pair) -> None:
    client = pair.clients[1]
    core = client.delegate if "delegate" in vars(client) else client
    assert core.options.pool_options.metadata["driver"]["name"].endswith("|Shadow")


async def test_a_command_is_counted_on_the_collection_that_it_names(pair: Pair) -> None:
    database = pair.clients[1].get_default_database()
    bare = pair.clients[0].get_default_database()
    assert (await database.command("ping"))["ok"] == 1
    assert (await database.command({"count": "other"}))["n"] == 0
    assert pair.router.seen == []
    for command in ({"count": "routed"}, {"distinct": "routed", "key": "a"}):
        assert await outcome(lambda command=command: database.command(dict(command))) == await outcome(
            lambda command=command: bare.command(dict(command))
        )
    await database.command("insert", "routed", documents=[{"_id": 200}])
    assert await pair.raw.find_one({"_id": 200})
    cursor = await database.cursor_command({"find": "routed", "filter": {"_id": 1}})
    assert [document["_id"] async for document in cursor] == [1]
    assert [op.name for op in pair.router.seen] == ["count", "distinct", "insert", "find"]
    await database.command({"collStats": "routed"}, check=False)
    await database.command("collMod", "routed", check=False)
    await database.command({"explain": {"find": "routed"}}, check=False)
    assert pair.router.seen[4:6] == [("collStats", False), ("collMod", True)]
    assert pair.router.seen[6].name == "explain"


async def test_a_dropped_database_is_counted_on_its_collections(pair: Pair) -> None:
    client, name = pair.clients[1], pair.facade.database.name
    await client.drop_database(name)
    assert pair.router.seen == [("drop_database", True)]
    assert await pair.clients[0][name].list_collection_names() == []


def test_where_an_aggregation_writes() -> None:
    assert written_by("d", [{"$match": {}}]) == () == written_by("d", [])
    assert written_by("d", [{"$out": "c"}]) == (("d", "c"),)
    assert written_by("d", [{"$out": {"db": "e", "coll": "c"}}]) == (("e", "c"),)
    assert written_by("d", [{"$merge": {"into": "c", "on": "_id"}}]) == (("d", "c"),)
    assert written_by("d", [{"$merge": {"into": {"db": "e", "coll": "c"}}}]) == (("e", "c"),)
    assert reach_of_command("d", "renameCollection", "d.a", to="d.b").written == (("d", "a"), ("d", "b"))
    assert reach_of_bulk([InsertOne({}, "d.a.b"), InsertOne({}, "d.a.b")]).written == (("d", "a.b"),)


async def test_a_rename_is_counted_on_both_names(pair: Pair) -> None:
    await pair.facade.rename("routed_away")
    assert pair.router.seen == [("rename", True), ("rename", True)]
    assert await pair.clients[0].get_default_database()["routed_away"].count_documents({}) == 4


async def test_what_is_no_session_is_the_drivers_to_judge(pair: Pair) -> None:
    calls: list[Any] = [
        lambda c: c.find_one({"_id": 1}, session={}),
        lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}, session={}),
        lambda c: c.count_documents({}, session=5),
    ]
    for call in calls:
        assert await outcome(partial(call, pair.facade)) == await outcome(partial(call, pair.bare))


async def test_an_aggregation_takes_what_the_drivers_takes(pair: Pair) -> None:
    found = []
    for collection in (pair.bare, pair.facade):
        cursor = collection.aggregate([{"$match": {"a": 2}}, {"$sort": {"_id": 1}}], cursor={"batchSize": 1})
        cursor = await cursor if hasattr(cursor, "__await__") else cursor
        found.append([document async for document in cursor])
    assert found[0] == found[1] and len(found[0]) == 2


async def test_a_database_of_many_collections_is_dropped(pair: Pair) -> None:
    client, name = pair.clients[1], pair.facade.database.name
    names = [f"routed_{number}" for number in range(130)]
    for each in names:
        await pair.clients[0][name][each].insert_one({})
    await client.drop_database(name)
    assert pair.router.seen == [("drop_database", True)] * (len(names) + 1)
    assert await pair.clients[0][name].list_collection_names() == []
