"""The same commands on MongoDB and on both layouts give the same replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC
from shadow_adapters.contract import Fence
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store

Command = dict[str, Any]

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "name": "x", "level": 5, "tags": ["p", "q"], "data": {"k": 1, "zz": [1, 2, {"y": 3}]}},
    {"_id": "b", "name": "y", "level": 7.5, "meta": {"created": DatetimeMS(1000), "other": 1}, "extra": None},
    {"_id": "c", "level": Int64(5), "data": [1, 2], "extra": 3, "meta": {"created": DatetimeMS(2000)}},
    {"_id": "d", "name": None, "extra": [3, 4], "data": "text", "ratio": 0.5},
    {"_id": "e", "name": ["x", "z"], "level": "5", "ratio": 2, "active": True, "email": "e@x"},
]


def insert(*documents: dict[str, Any], **options: Any) -> Command:
    return {"insert": ENTITY, "documents": list(documents), **options}


def find(filter: dict[str, Any], **options: Any) -> Command:
    return {"find": ENTITY, "filter": filter, **options}


def update(q: dict[str, Any], u: Any, **options: Any) -> Command:
    return {"update": ENTITY, "updates": [{"q": q, "u": u, **options}]}


def delete(q: dict[str, Any], limit: int = 1) -> Command:
    return {"delete": ENTITY, "deletes": [{"q": q, "limit": limit}]}


def modify(query: dict[str, Any], **options: Any) -> Command:
    return {"findAndModify": ENTITY, "query": query, **options}


def counted(filter: dict[str, Any], *stages: dict[str, Any]) -> Command:
    pipeline = [{"$match": filter}, *stages, {"$group": {"_id": 1, "n": {"$sum": 1}}}]
    return {"aggregate": ENTITY, "pipeline": pipeline, "cursor": {}}


BY_ID = {"sort": {"_id": 1}}

CASES: dict[str, list[Command]] = {
    "find all": [find({}, **BY_ID)],
    "find by id": [find({"_id": "c"})],
    "find by a missing id": [find({"_id": "nobody"})],
    "find by an id of another type": [find({"_id": 5})],
    "find by id and more": [find({"_id": "a", "level": 5}), find({"_id": "a", "level": 6})],
    "find ids": [find({"_id": {"$in": ["c", "a", 7, "nobody"]}}, **BY_ID)],
    "find an id range": [find({"_id": {"$gt": "b", "$lte": "d"}}, **BY_ID)],
    "find descending": [find({}, sort={"_id": -1}, limit=2, skip=1)],
    "find equal numbers": [find({"level": 5}, **BY_ID), find({"level": 5.0}, **BY_ID)],
    "find a range": [find({"level": {"$gt": 5}}, **BY_ID), find({"level": {"$gte": 5, "$lt": 7.5}}, **BY_ID)],
    "find text": [find({"name": "x"}, **BY_ID), find({"name": {"$gte": "x", "$lt": "y"}}, **BY_ID)],
    "find null": [find({"name": None}, **BY_ID), find({"name": {"$ne": None}}, **BY_ID)],
    "find existing": [find({"name": {"$exists": True}}, **BY_ID), find({"name": {"$exists": False}}, **BY_ID)],
    "find in an array": [find({"tags": "p"}, **BY_ID), find({"extra": 3}, **BY_ID), find({"data": 2}, **BY_ID)],
    "find a path": [find({"data.k": 1}, **BY_ID), find({"data.zz.y": 3}, **BY_ID), find({"data.zz.1": 2}, **BY_ID)],
    "find a mapped path": [find({"meta.created": DatetimeMS(1000)}, **BY_ID), find({"meta.other": 1}, **BY_ID)],
    "find dates": [find({"meta.created": {"$gt": DatetimeMS(1000)}}, **BY_ID)],
    "find a document": [find({"meta": {"created": DatetimeMS(2000)}}, **BY_ID)],
    "find or": [find({"$or": [{"level": 5}, {"name": "y"}]}, **BY_ID), find({"$nor": [{"level": 5}]}, **BY_ID)],
    "find a regex": [find({"name": Regex("^[xy]")}, **BY_ID)],
    "find in": [find({"level": {"$in": [5, "5"]}}, **BY_ID), find({"level": {"$nin": [5]}}, **BY_ID)],
    "find all of": [find({"tags": {"$all": ["p", "q"]}}, **BY_ID), find({"tags": {"$size": 2}}, **BY_ID)],
    "find by a schema": [
        find({"$jsonSchema": {"required": ["level"], "properties": {"level": {"bsonType": "number"}}}}, **BY_ID),
        find({"$nor": [{"$jsonSchema": {"properties": {"name": {"type": "string"}}}}]}, **BY_ID),
        find({"$jsonSchema": {"foo": 1}}),
    ],
    "sort by a field": [find({"level": {"$exists": True}}, sort={"level": 1, "_id": 1})],
    "sort descending with limit": [find({}, sort={"level": -1, "_id": 1}, limit=3, skip=1)],
    "project": [find({"_id": "a"}, projection={"name": 1}), find({"_id": "a"}, projection={"data": 0, "_id": 0})],
    "count": [counted({}), counted({"level": 5}), counted({"level": 99}), counted({}, {"$skip": 1}, {"$limit": 3})],
    "count command": [{"count": ENTITY, "query": {"level": 5}}, {"count": ENTITY, "query": {}, "skip": 2, "limit": 9}],
    "unknown operator": [find({"level": {"$foo": 1}}), find({"$foo": 1})],
    "bad arguments": [find({"level": {"$in": 5}}), find({"$and": []}), find({}, sort={"a": 2})],
    "insert": [insert({"_id": "n", "z": 1, "name": "n"}), find({"_id": "n"})],
    "insert a duplicate": [insert({"_id": "a", "name": "other"}), find({"_id": "a"})],
    "insert ordered": [insert({"_id": "n"}, {"_id": "a"}, {"_id": "m"}), find({}, **BY_ID)],
    "insert unordered": [
        insert({"_id": "n"}, {"_id": "a"}, {"_id": "m"}, {"_id": "b"}, ordered=False),
        find({}, **BY_ID),
    ],
    "insert the id first": [insert({"z": 1, "_id": "n"}), find({"_id": "n"})],
    "set by id": [update({"_id": "a"}, {"$set": {"level": 9, "new": 1}}), find({"_id": "a"})],
    "set to the same": [update({"_id": "a"}, {"$set": {"level": 5}})],
    "set nobody": [update({"_id": "nobody"}, {"$set": {"level": 5}})],
    "set by filter": [update({"name": "y"}, {"$set": {"name": "w"}}), find({}, **BY_ID)],
    "set many": [update({"level": 5}, {"$set": {"name": "many"}}, multi=True), find({}, **BY_ID)],
    "set inner": [update({"_id": "b"}, {"$set": {"meta.created": DatetimeMS(5)}}), find({"_id": "b"})],
    "increase": [update({"_id": "a"}, {"$inc": {"level": 2, "count": 1}}), find({"_id": "a"})],
    "increase text": [update({"_id": "e"}, {"$inc": {"level": 1}})],
    "unset": [update({"_id": "a"}, {"$unset": {"level": 1, "data.k": 1}}), find({"_id": "a"})],
    "push": [update({"_id": "a"}, {"$push": {"tags": "r"}}), find({"_id": "a"})],
    "change the id": [update({"_id": "a"}, {"$set": {"_id": "z"}}), find({}, **BY_ID)],
    "replace": [update({"_id": "a"}, {"q": 1}), find({"_id": "a"})],
    "replace many": [update({"level": 5}, {"q": 1}, multi=True)],
    "upsert by id": [update({"_id": "u"}, {"$set": {"a": 1}}, upsert=True), find({"_id": "u"})],
    "upsert what is there": [update({"_id": "a"}, {"$set": {"a": 1}}, upsert=True), find({"_id": "a"})],
    "upsert by filter": [
        update({"name": "u", "level": {"$gt": 9}}, {"$set": {"a": 1}, "$setOnInsert": {"_id": "u"}}, upsert=True),
        find({"_id": "u"}),
    ],
    "upsert a replacement": [update({"_id": "u"}, {"a": 1}, upsert=True), find({"_id": "u"})],
    "upsert what is there but does not match": [
        update({"_id": "a", "level": 6}, {"$set": {"a": 1}}, upsert=True),
        update({"_id": {"$eq": "a", "$gt": "b"}}, {"$set": {"a": 1}}, upsert=True),
        modify({"_id": "a", "level": 6}, update={"$set": {"a": 1}}, upsert=True),
        find({}, **BY_ID),
    ],
    "several updates": [
        {
            "update": ENTITY,
            "updates": [
                {"q": {"_id": "a"}, "u": {"$set": {"a": 1}}},
                {"q": {"_id": "e"}, "u": {"$inc": {"level": 1}}},
                {"q": {"_id": "b"}, "u": {"$set": {"a": 1}}},
            ],
            "ordered": False,
        },
        find({}, **BY_ID),
    ],
    "unknown update operator": [update({"_id": "a"}, {"$foo": {"a": 1}})],
    "delete by id": [delete({"_id": "a"}), delete({"_id": "a"}), find({}, **BY_ID)],
    "delete one by filter": [delete({"name": "y"}), find({}, **BY_ID)],
    "delete many": [delete({"level": 5}, 0), find({}, **BY_ID)],
    "delete all": [delete({}, 0), find({})],
    "delete by id and more": [delete({"_id": "a", "level": 6}), delete({"_id": "a", "level": 5}), find({}, **BY_ID)],
    "modify, before": [modify({"_id": "a"}, update={"$set": {"level": 6}})],
    "modify, after": [modify({"_id": "a"}, update={"$set": {"level": 6}}, new=True, fields={"level": 1})],
    "modify the first": [modify({}, sort={"_id": -1}, update={"$set": {"level": 6}}, new=True)],
    "modify by a sorted field": [modify({"ratio": {"$exists": True}}, sort={"ratio": -1}, update={"$set": {"x": 1}})],
    "modify nobody": [modify({"_id": "nobody"}, update={"$set": {"level": 6}})],
    "modify with upsert": [modify({"_id": "u"}, update={"$set": {"a": 6}}, upsert=True, new=True)],
    "modify with upsert, before": [modify({"_id": "u"}, update={"$set": {"a": 6}}, upsert=True)],
    "remove": [modify({"_id": "a"}, remove=True), modify({"_id": "a"}, remove=True)],
}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


def on_mongo(uri: str, commands: list[Command], documents: list[dict[str, Any]] = DOCUMENTS) -> list[dict[str, Any]]:
    """The replies of a MongoDB to the insert of the documents, and to the commands."""
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        database.drop_collection(ENTITY)
        return [_mongo_reply(database, command) for command in [insert(*documents), *commands]]


def _mongo_reply(database: Any, command: Command) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = database.command(command, codec_options=CODEC)
    except OperationFailure as error:
        reply = dict(error.details or {})
    return reply


def essence(reply: dict[str, Any]) -> dict[str, Any]:
    """What of a reply must be equal: counts, documents with their order of fields, codes; not words and clocks."""
    kept: dict[str, Any] = {
        name: reply[name] for name in ("n", "nModified", "upserted", "value", "lastErrorObject") if name in reply
    }
    kept["ok"] = bool(reply.get("ok"))
    if "cursor" in reply:
        kept["documents"] = [list(document.items()) for document in reply["cursor"]["firstBatch"]]
    if isinstance(reply.get("value"), dict):
        kept["value"] = list(reply["value"].items())
    if not kept["ok"]:
        kept["code"] = reply.get("code")
    if "writeErrors" in reply:
        kept["errors"] = [
            {name: error.get(name) for name in ("index", "code", "keyPattern", "keyValue")}
            for error in reply["writeErrors"]
        ]
    return kept


@pytest.mark.parametrize("fence", [FENCE, None], ids=["fenced", "free"])
async def test_replies_are_mongodbs(fence: Fence | None, store: Store, mongo_uri: str) -> None:
    """Every case on documents of its own; one database for all of them, since making one takes longer than a case."""
    differing = {}
    for case, commands in CASES.items():
        await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
        replies = [await store.run(command, fence=fence) for command in [insert(*DOCUMENTS), *commands]]
        expected = on_mongo(mongo_uri, commands)
        if [essence(reply) for reply in replies] != [essence(reply) for reply in expected]:
            differing[case] = (replies, expected)
    assert differing == {}


async def test_a_duplicate_is_told_as_mongodb_tells_it(store: Store) -> None:
    id = ObjectId()
    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
    await store.insert({"_id": "a"})
    error = (await store.insert({"_id": "a"}))["writeErrors"][0]
    assert error["errmsg"] == 'E11000 duplicate key error collection: app.things index: _id_ dup key: { _id: "a" }'
    assert (await store.find({"_id": id})) == []


@pytest.mark.parametrize(
    ("command", "code", "unsupported"),
    [
        ({"mapReduce": ENTITY}, 59, "mapReduce"),
        (find({}, wrong=1), 40415, "wrong"),
        (find({}, returnKey=True), 72, "find returnKey"),
        (find({}, collation={"locale": "sv"}), 2, "collation locale sv"),
        (find({"$text": {"$search": "x"}}), 27, "$text"),
        (find({"data": {"$near": [0, 0]}}), 291, "$near"),
        ({"aggregate": ENTITY, "pipeline": [{"$out": "x"}], "cursor": {}}, 115, "aggregate $out"),
        (find({"level": {"$geoWithin": 1}}), 2, "$geoWithin"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(
    command: Command, code: int, unsupported: str, store: Store
) -> None:
    reply = await store.run(command)
    assert (reply["ok"], reply["code"], reply["unsupported"]) == (0.0, code, unsupported)


async def test_options_that_ask_for_nothing_pass(store: Store) -> None:
    reply = await store.run(find({}, collation={"locale": "simple"}, let={}, returnKey=False, comment="x", hint="_id_"))
    assert reply["ok"] == 1.0


async def test_without_a_sort_everything_comes_once_in_any_order(store: Store) -> None:
    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
    ids = [f"r{n:02}" for n in range(20)]
    await store.insert(*({"_id": each, "name": "same", "level": 1} for each in ids))
    for each in ids[::3]:
        await store.run(update({"_id": each}, {"$inc": {"level": 1}}))
    assert sorted(document["_id"] for document in await store.find({})) == ids
    some = (await store.run(find({"name": "same"}, limit=7)))["cursor"]["firstBatch"]
    assert len({document["_id"] for document in some} & set(ids)) == len(some) == 7
    taken = (await store.run(modify({"name": "same"}, remove=True)))["value"]["_id"]
    assert sorted(document["_id"] for document in await store.find({})) == [each for each in ids if each != taken]


@pytest.mark.parametrize(
    "sent",
    [
        {"filter": {"name": {"$gte": "name 3"}}, "sort": {"name": 1}, "limit": 5},
        {"filter": {"level": {"$gt": 3}}, "limit": 5},
        {"filter": {}, "sort": {"level": -1}, "skip": 2, "limit": 5},
    ],
)
async def test_a_cursor_over_a_few_documents_asks_once(store: Store, sent: dict[str, Any]) -> None:
    """Each statement is a round trip, and what a cursor reads in order it would sort as a whole."""
    for path in ("name", "level"):
        await store.run({"createIndexes": ENTITY, "indexes": [{"key": {path: 1}, "name": path}]})
    await store.insert(*({"_id": str(n), "name": f"name {n}", "level": n} for n in range(9)))
    asked: list[str] = []

    def note(query: Any) -> None:
        asked.append(query.query)

    expected = await store.find(sent["filter"], **{name: value for name, value in sent.items() if name != "filter"})
    store.conn.add_query_logger(note)
    cursor = await store.engine.open(store.conn, {"find": ENTITY, **sent}, FENCE)
    found = await cursor.batch()
    assert found == expected and len(found) == 5
    assert await cursor.batch() == []
    await cursor.close()
    await asyncio.sleep(0)
    store.conn.remove_query_logger(note)
    assert len(asked) == 1, asked
