"""Calls on a collection, to be made twice: through the bare driver and through a façade.

Each takes a collection that holds ``SEED`` and returns what can be awaited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.collation import Collation

SEED: list[dict[str, Any]] = [
    {"_id": 1, "a": 1, "tags": ["x", "y"], "n": Int64(7)},
    {"_id": 2, "a": 2, "tags": [], "n": 1.5},
    {"_id": 3, "a": 2, "tags": ["y"], "n": Decimal128("0.1")},
    {"_id": "four", "a": 4, "sub": {"b": 1, "a": 2}},
]

Call = Callable[[Any], Any]

_NOT_BSON = object()
NO_CASE = Collation("en", strength=2)


async def _as_set(values: Any) -> list[str]:
    """Values that come in no order, each with its type."""
    return sorted(f"{type(value).__name__} {value}" for value in await values)


CALLS: dict[str, Call] = {
    "insert_one": lambda c: c.insert_one({"a": 9, "_id": 10}),
    "insert_one generated": lambda c: c.insert_one({"a": 9}),
    "insert_one twice": lambda c: c.insert_one({"_id": 1}),
    "insert_one no document": lambda c: c.insert_one([1]),
    "insert_one not BSON": lambda c: c.insert_one({"_id": 11, "a": _NOT_BSON}),
    "insert_one too large": lambda c: c.insert_one({"_id": 11, "a": "x" * (1 << 24)}),
    "update_one too large": lambda c: c.update_one({"_id": 1}, {"$set": {"a": "x" * (1 << 24)}}),
    "insert_many": lambda c: c.insert_many([{"_id": 10}, {"a": 1}]),
    "insert_many ordered": lambda c: c.insert_many([{"_id": 10}, {"_id": 1}, {"_id": 11}]),
    "insert_many unordered": lambda c: c.insert_many([{"_id": 10}, {"_id": 1}, {"_id": 11}], ordered=False),
    "insert_many empty": lambda c: c.insert_many([]),
    "insert_many generator": lambda c: c.insert_many({"_id": n} for n in (10, 11)),
    "insert_many a document": lambda c: c.insert_many({"_id": 1}),
    "find_one": lambda c: c.find_one({"_id": 1}),
    "find_one by value": lambda c: c.find_one("four"),
    "find_one any": lambda c: c.find_one(sort=[("_id", 1)]),
    "find_one none": lambda c: c.find_one({"_id": 99}),
    "find_one projection": lambda c: c.find_one({"a": 4}, {"sub.b": 1}),
    "find_one fields": lambda c: c.find_one({"a": 4}, ["a"]),
    "find_one skip": lambda c: c.find_one({"a": 2}, sort=[("_id", 1)], skip=1),
    "find_one bad filter": lambda c: c.find_one({"a": {"$bad": 1}}),
    "find_one bad argument": lambda c: c.find_one({}, skip="x"),
    "count_documents": lambda c: c.count_documents({"a": 2}),
    "count_documents limit": lambda c: c.count_documents({}, skip=1, limit=2),
    "count_documents none": lambda c: c.count_documents({"a": 99}),
    "distinct": lambda c: _as_set(c.distinct("a")),
    "distinct of arrays": lambda c: _as_set(c.distinct("tags", {"a": {"$gt": 1}})),
    "distinct of documents": lambda c: _as_set(c.distinct("sub")),
    "distinct of numbers": lambda c: _as_set(c.distinct("n")),
    "distinct none": lambda c: _as_set(c.distinct("a", {"_id": 99})),
    "distinct bad key": lambda c: c.distinct(5),
    "distinct bad filter": lambda c: c.distinct("a", {"a": {"$bad": 1}}),
    "distinct two filters": lambda c: c.distinct("a", {}, query={}),
    "estimated_document_count": lambda c: c.estimated_document_count(),
    "estimated_document_count session": lambda c: c.estimated_document_count(session=None),
    "update_one": lambda c: c.update_one({"_id": 1}, {"$set": {"a": 5}}),
    "update_one filter": lambda c: c.update_one({"a": 2, "tags": "y"}, {"$inc": {"a": 10}}),
    "update_one same": lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}),
    "update_one none": lambda c: c.update_one({"_id": 99}, {"$set": {"a": 1}}),
    "update_one upsert": lambda c: c.update_one({"_id": 99}, {"$set": {"a": 1}}, upsert=True),
    "update_one upsert filter": lambda c: c.update_one({"z": 3}, {"$set": {"a": 1}}, upsert=True),
    "update_one empty": lambda c: c.update_one({"_id": 1}, {}),
    "update_one replacement": lambda c: c.update_one({"_id": 1}, {"a": 1}),
    "update_one bad operator": lambda c: c.update_one({"_id": 1}, {"$bad": {"a": 1}}),
    "update_one bad filter": lambda c: c.update_one([], {"$set": {"a": 1}}),
    "update_one bad upsert": lambda c: c.update_one({"_id": 1}, {"$set": {"a": 1}}, upsert="x"),
    "update_one id": lambda c: c.update_one({"_id": 1}, {"$set": {"_id": 2}}),
    "update_one path": lambda c: c.update_one({"_id": 1}, {"$set": {"a.b": 2}}),
    "update_one conflict": lambda c: c.update_one({"_id": 1}, {"$set": {"q": 1}, "$currentDate": {"q": True}}),
    "update_many": lambda c: c.update_many({"a": 2}, {"$set": {"seen": True}}),
    "update_many none": lambda c: c.update_many({"a": 99}, {"$set": {"seen": True}}),
    "update_many upsert": lambda c: c.update_many({"z": 5}, {"$set": {"seen": True}}, upsert=True),
    "update_one element": lambda c: c.update_one({"tags": "y", "_id": 1}, {"$set": {"tags.$": "z"}}),
    "update_one array_filters": lambda c: c.update_one(
        {"a": 1}, {"$set": {"tags.$[t]": "z"}}, array_filters=[{"t": {"$gt": "x"}}]
    ),
    "update_one bad array_filters": lambda c: c.update_one({"_id": 1}, {"$set": {"a": 5}}, array_filters=[{"t": 1}]),
    "update_one array_filters no list": lambda c: c.update_one({}, {"$set": {"a": 5}}, array_filters={"t": 1}),
    "update_one pipeline": lambda c: c.update_one({"a": 4}, [{"$set": {"sum": {"$add": ["$a", "$sub.b"]}}}]),
    "update_one pipeline upsert": lambda c: c.update_one({"_id": 9, "a": 3}, [{"$set": {"b": "$a"}}], upsert=True),
    "update_one pipeline upsert given": lambda c: c.update_one(
        {"b": 3}, [{"$set": {"_id": {"$add": ["$b", 90]}}}], upsert=True
    ),
    "update_many elements": lambda c: c.update_many({"tags": "y"}, {"$set": {"tags.$[]": "z"}}),
    "update_many pipeline": lambda c: c.update_many(
        {"a": 2}, [{"$set": {"b": "$$v"}}, {"$unset": "tags"}], let={"v": 5}
    ),
    "find_one_and_update array_filters": lambda c: c.find_one_and_update(
        {"_id": 1}, {"$set": {"tags.$[t]": "z"}}, array_filters=[{"t": "y"}], return_document=ReturnDocument.AFTER
    ),
    "find_one_and_update pipeline": lambda c: c.find_one_and_update(
        {"_id": 1}, [{"$set": {"b": "$a"}}], {"b": 1}, return_document=ReturnDocument.AFTER
    ),
    "bulk_write array_filters": lambda c: c.bulk_write(
        [
            UpdateOne({"_id": 1}, {"$set": {"tags.$[t]": "z"}}, array_filters=[{"t": "x"}]),
            UpdateMany({"tags": "y"}, {"$set": {"tags.$": "w"}}),
            UpdateMany({"a": 2}, [{"$set": {"b": "$a"}}]),
        ]
    ),
    "find_one collation": lambda c: c.find_one({"tags": "Y"}, collation=NO_CASE, sort=[("_id", 1)]),
    "count_documents collation": lambda c: c.count_documents({"tags": "Y"}, collation=NO_CASE),
    "distinct collation": lambda c: _as_set(c.distinct("a", {"tags": "Y"}, collation=NO_CASE)),
    "update_many collation": lambda c: c.update_many({"_id": {"$gte": "FOUR"}}, {"$set": {"b": 1}}, collation=NO_CASE),
    "delete_one collation": lambda c: c.delete_one({"tags": "X", "a": 1}, collation=NO_CASE),
    "find_one_and_update collation": lambda c: c.find_one_and_update(
        {"tags": "X"}, {"$set": {"b": 1}}, collation=NO_CASE, return_document=ReturnDocument.AFTER
    ),
    "find_one slice": lambda c: c.find_one({"_id": 1}, {"tags": {"$slice": 1}}),
    "find_one element": lambda c: c.find_one({"tags": "y", "_id": 1}, {"tags.$": 1}),
    "find_one computed": lambda c: c.find_one({"_id": 1}, {"sum": {"$add": ["$a", "$n"]}}),
    "replace_one": lambda c: c.replace_one({"_id": 1}, {"b": 2}),
    "replace_one filter": lambda c: c.replace_one({"a": 4}, {"b": 2}),
    "replace_one upsert": lambda c: c.replace_one({"_id": 99}, {"b": 2}, upsert=True),
    "replace_one upsert given": lambda c: c.replace_one({"z": 1}, {"_id": 98, "b": 2}, upsert=True),
    "replace_one operators": lambda c: c.replace_one({"_id": 1}, {"$set": {"b": 2}}),
    "delete_one": lambda c: c.delete_one({"_id": 1}),
    "delete_one filter": lambda c: c.delete_one({"a": 4}),
    "delete_one none": lambda c: c.delete_one({"a": 99}),
    "delete_one bad filter": lambda c: c.delete_one("x"),
    "delete_many": lambda c: c.delete_many({"a": 2}),
    "delete_many all": lambda c: c.delete_many({}),
    "find_one_and_update": lambda c: c.find_one_and_update({"_id": 1}, {"$inc": {"a": 1}}),
    "find_one_and_update after": lambda c: c.find_one_and_update(
        {"a": 2}, {"$set": {"b": 1}}, sort=[("_id", -1)], return_document=ReturnDocument.AFTER
    ),
    "find_one_and_update none": lambda c: c.find_one_and_update({"a": 99}, {"$set": {"b": 1}}),
    "find_one_and_update upsert": lambda c: c.find_one_and_update(
        {"_id": 99}, {"$set": {"b": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    ),
    "find_one_and_update projection": lambda c: c.find_one_and_update({"_id": 1}, {"$set": {"b": 1}}, {"a": 1}),
    "find_one_and_update bad": lambda c: c.find_one_and_update({"_id": 1}, {"b": 1}),
    "bulk_write": lambda c: c.bulk_write(
        [
            InsertOne({"_id": 20, "a": 2}),
            UpdateMany({"a": 2}, {"$set": {"seen": 1}}),
            UpdateOne({"seen": 1, "_id": {"$gt": 3}}, {"$inc": {"a": 1}}),
            UpdateOne({"z": 1}, {"$set": {"b": 1}}, upsert=True),
            ReplaceOne({"_id": 77}, {"q": 1}, upsert=True),
            DeleteOne({"_id": 1}),
            DeleteMany({"a": 4}),
        ]
    ),
    "find_one_and_delete by id": lambda c: c.find_one_and_delete({"_id": 1}),
    "find_one_and_delete sorted": lambda c: c.find_one_and_delete({}, {"a": 1}, sort=[("a", -1), ("_id", 1)]),
    "find_one_and_delete none": lambda c: c.find_one_and_delete({"_id": 404}),
    "find_one_and_delete bad filter": lambda c: c.find_one_and_delete(5),
    "find_one_and_replace by id": lambda c: c.find_one_and_replace({"_id": 1}, {"b": 1}),
    "find_one_and_replace after": lambda c: c.find_one_and_replace(
        {"a": 2}, {"b": 1}, sort={"_id": 1}, return_document=True
    ),
    "find_one_and_replace none": lambda c: c.find_one_and_replace({"_id": 404}, {"b": 1}),
    "find_one_and_replace upsert": lambda c: c.find_one_and_replace(
        {"_id": 77}, {"b": 1}, upsert=True, return_document=True
    ),
    "find_one_and_replace operators": lambda c: c.find_one_and_replace({"_id": 1}, {"$set": {"b": 1}}),
    "find_one_and_replace bad upsert": lambda c: c.find_one_and_replace({"_id": 1}, {}, upsert=5),
    "bulk_write ordered": lambda c: c.bulk_write(
        [InsertOne({"_id": 20}), UpdateOne({"a": 2}, {"$set": {"b": 1}}), InsertOne({"_id": 1}), DeleteOne({"_id": 2})]
    ),
    "bulk_write unordered": lambda c: c.bulk_write(
        [
            DeleteOne({"_id": 20}),
            InsertOne({"_id": 1}),
            UpdateOne({"a": 2}, {"$bad": {"b": 1}}),
            InsertOne({"_id": 20}),
            UpdateOne({"z": 5}, {"$set": {"b": 1}}, upsert=True),
        ],
        ordered=False,
    ),
    "bulk_write empty": lambda c: c.bulk_write([]),
    "bulk_write no list": lambda c: c.bulk_write(InsertOne({})),
    "bulk_write no request": lambda c: c.bulk_write([{"a": 1}]),
    "bulk_write bad update": lambda c: c.bulk_write([UpdateOne({}, {"a": 1})]),
}

OTHERS: dict[str, Call] = {
    "options": lambda c: c.options(),
    "rename": lambda c: c.rename(f"elsewhere_{c.name}", dropTarget=True),
}


async def _listed(cursor: Any, length: int | None = None) -> list[Any]:
    listed: list[Any] = await cursor.to_list(length)
    return listed


async def _iterated(cursor: Any) -> list[Any]:
    return [document async for document in cursor]


async def _rewound(cursor: Any) -> list[Any]:
    first = await cursor.next()
    again = cursor.rewind()
    if hasattr(again, "__await__"):
        await again
    return [first, *[document async for document in cursor]]


async def _watched(cursor: Any) -> list[Any]:
    """How a cursor looks on its way."""
    seen: list[Any] = [cursor.alive]
    while cursor.alive:
        seen += [await cursor.next(), cursor.alive]
    clone = cursor.clone()
    seen.append(await clone.to_list(None))
    await cursor.close()
    return [*seen, cursor.alive, await cursor.to_list(None) if not hasattr(cursor, "each") else None]


async def _too_late(cursor: Any) -> Any:
    await cursor.next()
    return cursor.sort("a", 1)


async def _exhausted(cursor: Any) -> Any:
    await cursor.to_list(None)
    try:
        return await cursor.next()
    except StopAsyncIteration:
        return "end"


async def _in_context(cursor: Any) -> list[Any]:
    async with cursor as opened:
        return [await opened.next(), opened.alive]


CURSORS: dict[str, Call] = {
    "find": lambda c: _listed(c.find({}).sort("_id", 1)),
    "find length": lambda c: _listed(c.find({}, sort=[("_id", 1)]), 2),
    "find none": lambda c: _listed(c.find({"a": 99})),
    "find sorted": lambda c: _iterated(c.find({}, {"a": 1}).sort([("a", -1), ("_id", 1)])),
    "find page": lambda c: _iterated(c.find().sort("_id", 1).skip(1).limit(2)),
    "find one batch": lambda c: _iterated(c.find().sort("_id", 1).limit(-2)),
    "find in small batches": lambda c: _iterated(c.find(batch_size=1).sort("_id", 1)),
    "find batches and limit": lambda c: _iterated(c.find(limit=3).batch_size(2).sort("_id", 1)),
    "find no _id": lambda c: _iterated(c.find({"a": 2}, {"_id": 0, "tags": 1}).sort("_id", 1)),
    "find bad operator": lambda c: _iterated(c.find({"a": {"$bad": 1}})),
    "find bad filter": lambda c: _iterated(c.find([1])),
    "find bad limit": lambda c: _iterated(c.find().limit("x")),
    "find bad skip": lambda c: _iterated(c.find().skip(-1)),
    "rewind": lambda c: _rewound(c.find().sort("_id", 1)),
    "rewind in batches": lambda c: _rewound(c.find(batch_size=1).sort("_id", 1)),
    "alive": lambda c: _watched(c.find().sort("_id", 1)),
    "alive in batches": lambda c: _watched(c.find(batch_size=3).sort("_id", 1)),
    "sort too late": lambda c: _too_late(c.find()),
    "distinct": lambda c: _as_set(c.find({"a": {"$gt": 1}}).distinct("a")),
    "distinct of all": lambda c: _as_set(c.find().distinct("tags")),
    "distinct bad key": lambda c: c.find().distinct(5),
    "next at the end": lambda c: _exhausted(c.find()),
    "in a context": lambda c: _in_context(c.find(batch_size=2).sort("_id", 1)),
}
