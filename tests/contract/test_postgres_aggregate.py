"""``aggregate`` on MongoDB and on both layouts: the same results, other collections under terms of their own."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.codec import encode
from shadow_adapters.contract import Fence
from shadow_adapters.failures import CommandFailure, NotReadable
from shadow_adapters.postgres.call import Neighbour, Neighbours
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts import layout_for
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store
from tests.contract.test_postgres_commands import DOCUMENTS, on_mongo

Document = dict[str, Any]
Stages = list[Document]

BY_ID = {"$sort": {"_id": 1}}
COUNT = {"$group": {"_id": 1, "n": {"$sum": 1}}}

PIPELINES: dict[str, Stages] = {
    "everything": [],
    "match": [{"$match": {"level": 5}}],
    "match by id": [{"$match": {"_id": "c"}}],
    "match by id and project": [{"$match": {"_id": "c"}}, {"$project": {"level": 1}}],
    "match by chance": [{"$match": {"level": 5, "$sampleRate": 1}}, {"$match": {"$sampleRate": 1.0}}],
    "match by no chance": [{"$match": {"$sampleRate": 0}}],
    "match a bad chance": [{"$match": {"$sampleRate": 2}}],
    "match twice": [{"$match": {"level": {"$gt": 1}}}, {"$match": {"name": "x"}}],
    "match an expression": [{"$match": {"$expr": {"$gt": ["$level", 5]}}}],
    "match with let": [{"$match": {"$expr": {"$eq": ["$level", "$$wanted"]}}}],
    "sort": [{"$sort": {"level": -1, "_id": 1}}],
    "sort and limit": [{"$sort": {"level": -1, "_id": 1}}, {"$limit": 2}],
    "sort, skip and limit": [{"$sort": {"_id": -1}}, {"$skip": 1}, {"$limit": 2}],
    "sort, limit and skip": [{"$sort": {"name": 1, "_id": 1}}, {"$limit": 4}, {"$skip": 2}],
    "sort behind a change": [{"$set": {"z": "$_id"}}, {"$sort": {"z": -1}}],
    "count documents": [{"$match": {"level": 5}}, COUNT],
    "sums that are no counting": [{"$match": {}}, {"$group": {"_id": 1, "n": {"$sum": True}}}],
    "sums of a double": [{"$match": {}}, {"$group": {"_id": 1, "n": {"$sum": 1.0}}}],
    "count documents behind a bad skip": [{"$match": {}}, {"$skip": -1}, COUNT],
    "count documents of none": [{"$match": {"level": 999}}, COUNT],
    "count behind skip and limit": [{"$match": {}}, {"$skip": 1}, {"$limit": 3}, COUNT],
    "count": [{"$match": {"name": {"$ne": None}}}, {"$count": "n"}, {"$set": {"m": {"$add": ["$n", 1]}}}],
    "count by a regex": [{"$match": {"name": {"$regex": "^x"}}}, {"$count": "n"}],
    "count groups": [{"$group": {"_id": "$level", "n": {"$sum": 1}}}],
    "group": [{"$group": {"_id": "$name", "most": {"$max": "$level"}, "sum": {"$sum": "$ratio"}}}],
    "group by a document": [{"$group": {"_id": {"x": "$extra", "n": "$name"}, "n": {"$sum": 1}}}],
    "group of all": [{"$group": {"_id": None, "avg": {"$avg": "$ratio"}, "least": {"$min": "$meta.created"}}}],
    "group in order": [BY_ID, {"$group": {"_id": None, "all": {"$push": "$_id"}, "first": {"$first": "$level"}}}],
    "unwind": [{"$unwind": "$tags"}, {"$project": {"tags": 1}}],
    "unwind all": [{"$unwind": {"path": "$extra", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "i"}}],
    "project": [{"$project": {"_id": 0, "name": 1, "k": "$data.k", "y": "$data.zz.y"}}],
    "exclude": [{"$project": {"data.zz": 0, "meta": 0}}],
    "set and unset": [{"$set": {"double": {"$multiply": ["$ratio", 2]}}}, {"$unset": ["data", "meta"]}],
    "replace": [{"$match": {"meta": {"$exists": True}}}, {"$replaceRoot": {"newRoot": "$meta"}}],
    "sort by count": [{"$match": {"level": {"$ne": "5"}}}, {"$sortByCount": "$level"}, {"$limit": 1}],
    "bucket": [{"$bucket": {"groupBy": "$ratio", "boundaries": [0, 1, 5], "default": "other"}}],
    "rounded buckets": [{"$match": {"level": {"$type": "number"}}},
                        {"$bucketAuto": {"groupBy": "$level", "buckets": 2, "granularity": "R5"}}],
    "windows of a range": [{"$match": {"ratio": {"$type": "number"}}},
                           {"$setWindowFields": {"sortBy": {"ratio": 1}, "output": {
                               "near": {"$sum": "$ratio", "window": {"range": [-2, 2]}}, "last": {"$locf": "$level"}}}},
                           {"$project": {"near": 1, "last": 1}}],
    "densify": [{"$match": {"level": {"$type": "number"}}}, {"$project": {"level": 1}},
                {"$densify": {"field": "level", "range": {"step": 2, "bounds": "full"}}}],
    "fill": [BY_ID, {"$project": {"level": 1}}, {"$fill": {"output": {"level": {"value": "none"}}}}],
    "angles and bits": [{"$match": {"level": 5}},
                        {"$project": {"s": {"$sin": "$level"}, "b": {"$bitXor": ["$level", 3]}}}],
    "find by a regex": [BY_ID, {"$project": {"f": {"$regexFindAll": {"input": "$_id", "regex": "([a-m])|."}}}}],
    "facet": [BY_ID, {"$facet": {"few": [{"$limit": 2}, {"$project": {"_id": 1}}], "n": [{"$count": "n"}]}}],
    "union": [{"$project": {"_id": 1}}, {"$unionWith": {"coll": ENTITY, "pipeline": [{"$match": {"level": 7.5}}]}}],
    "lookup": [{"$lookup": {"from": ENTITY, "localField": "level", "foreignField": "level", "as": "same"}},
               {"$project": {"n": {"$size": "$same"}}}],
    "lookup by pipeline": [
        {"$lookup": {"from": ENTITY, "let": {"r": "$ratio"}, "as": "more",
                     "pipeline": [{"$match": {"$expr": {"$gt": ["$ratio", "$$r"]}}}, BY_ID, {"$project": {"_id": 1}}]}},
        {"$project": {"more": 1}},
    ],
    "graph": [
        {"$match": {"_id": "a"}},
        {"$graphLookup": {"from": ENTITY, "startWith": "$level", "connectFromField": "extra",
                          "connectToField": "level", "as": "reached"}},
        {"$project": {"n": {"$size": "$reached"}}},
    ],
    "bad stage": [{"$foo": 1}],
    "bad match": [{"$match": {"$foo": 1}}],
    "bad limit": [{"$limit": 0}],
    "fails on a document": [{"$replaceWith": "$name"}],
}  # fmt: skip


SECANTUS = {"project", "unwind all", "sums of a double", "match by chance", "match by no chance"}
"""Where SecantusDB differs: no paths through arrays, positions of 32 bits (`tests/diffs`), ints for sums of doubles, no
``$sampleRate`` in a ``$match``."""


def is_secantus(uri: str) -> bool:
    with pymongo.MongoClient[Document](uri) as client:
        return "secantusVersion" in client.server_info()


def command(stages: Stages, **options: Any) -> Document:
    return {"aggregate": ENTITY, "pipeline": stages, "cursor": {}, **options}


def results(reply: Document) -> Any:
    """The documents as bytes, in no order, or the code of the error."""
    return sorted(encode(found) for found in reply["cursor"]["firstBatch"]) if reply["ok"] else reply["code"]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


async def drained(store: Store, sent: Document, **terms: Any) -> list[list[Document]]:
    """The batches of a cursor."""
    async with store.pool.connection() as conn:
        cursor = await store.engine.open(conn, sent, **terms)
        found = []
        try:
            while batch := await cursor.batch():
                found.append(batch)
        finally:
            await cursor.close()
        assert not conn.is_in_transaction()
        return found


@pytest.mark.parametrize("fence", [FENCE, None], ids=["fenced", "free"])
async def test_results_are_mongodbs(fence: Fence | None, store: Store, mongo_uri: str) -> None:
    await store.insert(*DOCUMENTS)
    commands = {name: command(stages, let={"wanted": 7.5}) for name, stages in PIPELINES.items()}
    expected = dict(zip(commands, on_mongo(mongo_uri, list(commands.values()))[1:], strict=True))
    differing = {}
    for name, sent in commands.items():
        reply = await store.run(sent, fence=fence)
        if results(reply) != results(expected[name]):
            differing[name] = (reply, expected[name])
        elif reply["ok"]:
            batches = await drained(store, sent, fence=fence)
            assert [each for batch in batches for each in batch] == reply["cursor"]["firstBatch"]
    assert differing.keys() == (SECANTUS if is_secantus(mongo_uri) else set()), differing


async def statements_of(store: Store, stages: Stages) -> list[str]:
    """What PostgreSQL is asked, once the layout knows its table."""
    statements: list[str] = []
    await store.run(command([]))

    def note(query: Any) -> None:
        statements.append(query.query)

    store.conn.add_query_logger(note)
    assert (await store.run(command(stages)))["cursor"]["firstBatch"]
    await asyncio.sleep(0)  # loggers are called by the loop
    store.conn.remove_query_logger(note)
    return statements


async def test_counting_is_one_statement(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    counts: list[Stages] = [[COUNT], [{"$match": {"_id": {"$in": ["a", "b"]}}}, {"$count": "n"}]]
    for stages in counts:
        (statement,) = await statements_of(store, stages)
        assert "count(*)" in statement


async def test_a_short_answer_needs_no_transaction(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    assert len(await statements_of(store, [{"$match": {"_id": "c"}}, {"$project": {"name": 1}}])) == 1
    assert len(await statements_of(store, [{"$match": {"name": "x"}}, {"$limit": 1}])) == 1
    assert len(await statements_of(store, [{"$match": {"name": "x"}}])) > 1


@pytest.mark.parametrize(
    ("sent", "code", "unsupported"),
    [
        (command([{"$merge": "x"}]), 115, "aggregate $merge"),
        (command([{"$out": "x"}]), 115, "aggregate $out"),
        (command([{"$search": {}}]), 115, "aggregate $search"),
        (command([{"$lookup": {"from": "far", "as": "f", "pipeline": []}}]), 115, "$lookup from far"),
        (command([{"$facet": {"x": [{"$unionWith": "far"}]}}]), 115, "$unionWith from far"),
        (command([{"$set": {"a": {"$function": {}}}}]), 168, "$function"),
        (command([], collation={"locale": "sv"}), 2, "collation locale sv"),
        (command([], explain=True), 72, "aggregate explain"),
        (command([], odd=1), 40415, "odd"),
        ({"aggregate": 1, "pipeline": [], "cursor": {}}, 115, "aggregate 1"),
        ({"aggregate": ENTITY, "cursor": {}}, 40414, None),
        ({"aggregate": ENTITY, "pipeline": []}, 9, None),
        ({"aggregate": ENTITY, "pipeline": [], "cursor": {"batchSize": -1}}, 51024, None),
        (command([{"$set": {"a": "$$b"}}]), 17276, None),
        (command([], let={"B": 1}), 9, None),
    ],
    ids=str,
)
async def test_refused(sent: Document, code: int, unsupported: str | None, store: Store) -> None:
    reply = await store.run(sent)
    assert (reply["ok"], reply["code"], reply.get("unsupported")) == (0.0, code, unsupported)
    with pytest.raises(CommandFailure) as caught:
        await store.engine.open(store.conn, sent, FENCE)
    assert caught.value.code == code


async def test_options_that_change_nothing_pass(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    options = {"allowDiskUse": True, "comment": "x", "hint": "_id_", "maxTimeMS": 1000, "let": {}}
    reply = await store.run({**command([BY_ID], **options), "cursor": {"batchSize": 1}})
    assert [found["_id"] for found in reply["cursor"]["firstBatch"]] == ["a", "b", "c", "d", "e"]


async def test_a_sort_without_disk_holds_no_more_than_it_may(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadow_adapters.bson.pipeline.memory.LIMIT", 1000)
    await store.insert(*({"_id": f"{n:03}", "extra": "x" * 100} for n in range(30)))
    by_field, by_id = [{"$sort": {"extra": 1, "_id": -1}}], [{"$sort": {"_id": -1}}]
    assert len((await store.run(command(by_field)))["cursor"]["firstBatch"]) == 30
    assert (await store.run(command(by_field, allowDiskUse=False)))["code"] == 292
    assert len((await store.run(command(by_id, allowDiskUse=False)))["cursor"]["firstBatch"]) == 30


OTHERS: list[Document] = [
    {"_id": 1, "owner": "a", "n": 1},
    {"_id": 2, "owner": "a", "n": 2},
    {"_id": 3, "owner": "c", "n": 3},
    {"_id": 4, "n": 4},
]


async def others(store: Store, *, epoch: int = 1) -> Neighbours:
    """A second collection, on the other terms of an entity of its own."""
    layout = layout_for("others", layout="documents", table="shadow_documents.others", id_column="id", columns={})
    for statement in layout.ddl():
        await store.conn.execute(statement)
    await store.conn.execute("INSERT INTO shadow.entity (entity, phase) VALUES ('others', 'new')")
    await Engine("others", "app.others", layout).execute(store.conn, {"insert": "others", "documents": OTHERS})
    there = Neighbour(layout, Fence("others", epoch))
    return lambda name: there if name == "others" else None


LOOKUP = {"from": "others", "localField": "_id", "foreignField": "owner", "as": "f"}


async def test_other_collections(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    neighbours = await others(store)
    stages: Stages = [BY_ID, {"$lookup": LOOKUP}, {"$project": {"f": "$f.n"}}]
    reply = await store.engine.execute(store.conn, command(stages), fence=FENCE, neighbours=neighbours)
    found = {document["_id"]: sorted(document["f"]) for document in reply["cursor"]["firstBatch"]}
    assert found == {"a": [1, 2], "b": [], "c": [3], "d": [], "e": []}
    batches = await drained(store, command(stages), fence=FENCE, neighbours=neighbours)
    assert [each for batch in batches for each in batch] == reply["cursor"]["firstBatch"]
    union: Stages = [{"$unionWith": "others"}, {"$group": {"_id": None, "n": {"$sum": "$n"}}}]
    reply = await store.engine.execute(store.conn, command(union), fence=FENCE, neighbours=neighbours)
    assert reply["cursor"]["firstBatch"] == [{"_id": None, "n": 10}]


async def test_each_collection_is_held_to_its_own_terms(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    behind = await others(store, epoch=9)
    sent = command([{"$lookup": LOOKUP}])
    with pytest.raises(NotReadable) as caught:
        await store.engine.execute(store.conn, sent, fence=FENCE, neighbours=behind)
    assert caught.value.args[0] == "others"
    with pytest.raises(NotReadable):
        await drained(store, sent, fence=FENCE, neighbours=behind)
    with pytest.raises(NotReadable) as caught:
        await store.engine.execute(store.conn, sent, fence=Fence(ENTITY, 9), neighbours=behind)
    assert caught.value.args[0] == ENTITY


async def test_a_cursor_holds_a_batch(store: Store) -> None:
    for at in range(0, 20_000, 2_000):
        await store.insert(*({"_id": f"{n:06}", "extra": "x" * 500, "level": n % 7} for n in range(at, at + 2_000)))
    sent = command([{"$match": {"extra": {"$regex": "^x"}}}, {"$set": {"more": "$extra"}}])
    async with store.pool.connection() as conn:
        cursor = await store.engine.open(conn, sent, FENCE)
        count = len(await cursor.batch())
        tracemalloc.start()
        try:
            while batch := await cursor.batch():
                count += len(batch)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            await cursor.close()
    assert count == 20_000
    assert peak < 3_000_000  # all of it is more than 20 MB


async def test_now_is_one_moment(store: Store) -> None:
    await store.insert(*DOCUMENTS)
    before = DatetimeMS(int(time.time() * 1000))
    reply = await store.run(command([{"$group": {"_id": "$$NOW"}}]))
    (found,) = reply["cursor"]["firstBatch"]
    assert before <= found["_id"] <= DatetimeMS(int(time.time() * 1000))
