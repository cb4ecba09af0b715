"""``hint``, ``min`` and ``max``: which index must be there, and what a query by it finds."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pymongo
import pytest
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey

from shadow_adapters.contract import Fence
from shadow_adapters.failures import NotReadable
from tests.contract.postgres_stores import ENTITY, Store, new_layout, open_store

Command = dict[str, Any]

DOCUMENTS: list[Command] = [
    {"_id": 1, "a": 1, "b": 9},
    {"_id": 2, "a": 2, "x": None},
    {"_id": 3, "a": 3, "x": 1},
    {"_id": 4, "a": [0, 7], "x": [], "live": True},
    {"_id": 5, "a": "text"},
    {"_id": 6, "live": True},
    {"_id": 7, "a": 2, "b": 1},
]
INDEXES: list[Command] = [
    {"key": {"a": 1}, "name": "a_1"},
    {"key": {"x": 1}, "name": "sparse", "sparse": True},
    {"key": {"a": 1}, "name": "partial", "partialFilterExpression": {"live": True}},
    {"key": {"a": 1, "b": -1}, "name": "a_1_b_-1"},
]

HINTED: dict[str, Callable[[Any], Command]] = {
    "find": lambda hint: {"find": ENTITY, "filter": {}, "hint": hint},
    "count": lambda hint: {"count": ENTITY, "query": {}, "hint": hint},
    "distinct": lambda hint: {"distinct": ENTITY, "key": "_id", "query": {}, "hint": hint},
    "aggregate": lambda hint: {"aggregate": ENTITY, "pipeline": [], "cursor": {}, "hint": hint},
    "aggregate counting": lambda hint: {
        "aggregate": ENTITY,
        "pipeline": [{"$match": {}}, {"$count": "n"}],
        "cursor": {},
        "hint": hint,
    },
    "update": lambda hint: {
        "update": ENTITY,
        "updates": [{"q": {}, "u": {"$set": {"c": 1}}, "multi": True, "hint": hint}],
    },
    "update by _id": lambda hint: {
        "update": ENTITY,
        "updates": [{"q": {"_id": 1}, "u": {"$set": {"c": 1}}, "hint": hint}],
    },
    "delete": lambda hint: {"delete": ENTITY, "deletes": [{"q": {}, "limit": 0, "hint": hint}]},
    "findAndModify": lambda hint: {
        "findAndModify": ENTITY,
        "query": {},
        "sort": {"_id": 1},
        "update": {"$set": {"c": 1}},
        "hint": hint,
    },
    "explain": lambda hint: {"explain": {"find": ENTITY, "filter": {}, "hint": hint}},
}


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.run({"createIndexes": ENTITY, "indexes": copy.deepcopy(INDEXES)})
    await store.insert(*copy.deepcopy(DOCUMENTS))
    return store


def told(reply: Command) -> Any:
    """What a reply says: a code, the documents' ids, or a number."""
    for error in reply.get("writeErrors", ()):
        return "code", error["code"]
    if not reply["ok"]:
        return "code", reply["code"]
    if "cursor" in reply:
        return [document.get("_id", document.get("n")) for document in reply["cursor"]["firstBatch"]]
    if "values" in reply:
        return sorted(reply["values"])
    return reply["value"]["_id"] if reply.get("value") else reply.get("n")


def in_any_order(answer: Any) -> Any:
    return sorted(answer) if isinstance(answer, list) else answer


async def test_an_index_that_does_not_exist_is_refused(filled: Store) -> None:
    for hint in ("no_such", {"b": 1}, {"a": 1, "b": 1}, {"b": -1, "a": 1}):
        for name, command in HINTED.items():
            reply = await filled.run(command(hint))
            assert told(reply) == ("code", 2), name
            assert "hint provided does not correspond to an existing index" in str(reply), name
    assert told(await filled.run({"count": ENTITY, "query": {"c": {"$exists": False}}})) == len(DOCUMENTS)


@pytest.mark.parametrize("hint", ["_id_", {"_id": 1}, "a_1", {"a": Int64(1)}, {"a": 1.0, "b": -1}, {"$natural": -1}])
async def test_an_index_that_has_every_document_changes_no_answer(filled: Store, hint: Any) -> None:
    for name, command in HINTED.items():
        if name not in ("explain", "delete"):
            answers = told(await filled.run(command(hint))), told(await filled.run(command(None)))
            assert in_any_order(answers[0]) == in_any_order(answers[1]), name
    assert told(await filled.run(HINTED["delete"](hint))) == len(DOCUMENTS)


@pytest.mark.parametrize(("hint", "ids"), [("sparse", [2, 3, 4]), ({"x": 1}, [2, 3, 4]), ("partial", [4, 6])])
async def test_a_query_finds_what_the_index_has(filled: Store, hint: Any, ids: list[int]) -> None:
    answers = {name: told(await filled.run(command(hint))) for name, command in HINTED.items() if name != "explain"}
    # Run one after the other: the delete comes behind the update, the findAndModify finds nothing any more.
    assert answers == {
        "find": answers["find"],
        "count": len(ids),
        "distinct": ids,
        "aggregate": answers["aggregate"],
        "aggregate counting": [len(ids)],
        "update": len(ids),
        "update by _id": 0,
        "delete": len(ids),
        "findAndModify": None,
    }
    assert sorted(answers["find"]) == sorted(answers["aggregate"]) == ids


async def test_documents_come_in_the_order_of_the_index(filled: Store) -> None:
    for options, wanted in (
        ({"filter": {"a": {"$gt": 0}}, "hint": {"a": 1, "b": -1}}, [4, 1, 7, 2, 3]),
        ({"hint": "_id_", "limit": 2}, [1, 2]),
        ({"hint": "a_1", "sort": {"_id": -1}, "limit": 2}, [7, 6]),
    ):
        assert told(await filled.run({"find": ENTITY, **options})) == wanted


async def test_an_upsert_by_a_partial_index_takes_nothing_of_its_filter(filled: Store) -> None:
    statement = {"q": {"a": 99}, "u": {"$set": {"c": 1}}, "upsert": True, "hint": "partial"}
    assert (await filled.run({"update": ENTITY, "updates": [statement]}))["upserted"]
    (made,) = await filled.find({"a": 99}, projection={"_id": 0})
    assert made == {"a": 99, "c": 1}


async def test_no_collection_is_asked_for_no_index(store: Store) -> None:
    assert told(await store.run(HINTED["find"]("no_such"))) == []
    await store.insert({"_id": 1})
    assert told(await store.run(HINTED["find"]("no_such"))) == ("code", 2)


async def test_what_is_no_hint_is_refused(filled: Store) -> None:
    assert told(await filled.run(HINTED["find"](5))) == ("code", 9)
    assert len(await filled.find({}, hint={})) == len(DOCUMENTS)


async def test_an_index_of_another_process_is_learnt(filled: Store) -> None:
    other = type(filled.engine)(ENTITY, filled.engine.collection, new_layout("documents"))
    spec = {"key": {"b": 1}, "name": "b_1"}
    await other.execute(filled.conn, {"createIndexes": ENTITY, "indexes": [spec]})
    assert told(await filled.run(HINTED["count"]("b_1"))) == len(DOCUMENTS)


async def test_while_legacy_leads_it_is_asked(filled: Store) -> None:
    fence = Fence(ENTITY, 1, 5.0)
    with pytest.raises(NotReadable):
        await filled.run(HINTED["find"]("no_such"), fence=fence)
    with pytest.raises(NotReadable):
        await filled.engine.open(filled.conn, HINTED["find"]("no_such"), fence)


async def test_on_a_real_table_a_hint_is_advice(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as table:
        await table.insert({"_id": "one", "level": 1})
        assert told(await table.run(HINTED["find"]("no_such"))) == ["one"]
        reply = await table.run({"find": ENTITY, "hint": "no_such", "min": {"level": 1}})
        assert (reply["code"], reply["unsupported"]) == (72, "find min")


BOUNDED: dict[str, tuple[Command, Any]] = {
    "from": ({"min": {"a": 2}, "hint": "a_1"}, [2, 7, 3, 4, 5]),
    "up to": ({"max": {"a": 2}, "hint": {"a": 1}}, [6, 4, 1]),
    "between": ({"min": {"a": 2}, "max": {"a": 3}, "hint": "a_1"}, [2, 7]),
    "beside a filter": ({"filter": {"b": 1}, "min": {"a": 1}, "hint": "a_1"}, [7]),
    "beside an _id": ({"filter": {"_id": 1}, "min": {"a": 2}, "hint": "a_1"}, []),
    "a sort of its own": ({"min": {"a": 2}, "hint": "a_1", "sort": {"_id": -1}}, [7, 5, 4, 3, 2]),
    "a window": ({"min": {"a": 2}, "hint": "a_1", "sort": {"_id": 1}, "skip": 1, "limit": 2}, [3, 4]),
    "across types": (
        {"min": {"a": MinKey()}, "max": {"a": MaxKey()}, "sort": {"_id": 1}, "hint": "a_1"},
        [1, 2, 3, 4, 5, 6, 7],
    ),
    "two fields": ({"min": {"a": 2, "b": 5}, "max": {"a": 3, "b": MaxKey()}, "hint": "a_1_b_-1"}, [7, 2]),
    "by _id": ({"min": {"_id": 3}, "max": {"_id": 5}, "hint": "_id_"}, [3, 4]),
    "of a partial index": ({"min": {"a": 1}, "hint": "partial"}, [4]),
    "no hint": ({"min": {"a": 1}}, ("code", 51173)),
    "no index": ({"min": {"a": 1}, "hint": {"$natural": 1}}, ("code", 51173)),
    "an index that does not exist": ({"min": {"b": 1}, "hint": "b_1"}, ("code", 2)),
    "other fields": ({"min": {"b": 1}, "hint": "a_1"}, ("code", 51174)),
    "too few fields": ({"min": {"a": 1}, "hint": "a_1_b_-1"}, ("code", 51174)),
    "another order": ({"max": {"b": 1, "a": 1}, "hint": "a_1_b_-1"}, ("code", 51174)),
    "nothing between": ({"min": {"a": 3}, "max": {"a": 3}, "hint": "a_1"}, ("code", 51175)),
    "the other way round": ({"min": {"a": 2, "b": 5}, "max": {"a": 2, "b": 6}, "hint": "a_1_b_-1"}, ("code", 51175)),
    "different fields": ({"min": {"a": 1}, "max": {"b": 1}, "hint": "a_1"}, ("code", 51176)),
    "no document": ({"min": 5, "hint": "a_1"}, ("code", 14)),
}


async def test_bounds(filled: Store) -> None:
    answers = {}
    for name, (options, _) in BOUNDED.items():
        command = {"find": ENTITY, **options}
        found = told(await filled.run(command))
        if isinstance(found, list):
            cursor = await filled.engine.open(filled.conn, command)
            assert [document["_id"] for document in await cursor.batch()] == found
            await cursor.close()
            if options["hint"] == "a_1" and found[:2] == [7, 2]:  # equal keys stand in no order
                found[:2] = [2, 7]
        answers[name] = found
    assert answers == {name: wanted for name, (_, wanted) in BOUNDED.items()}


SECANTUS_SERVES = {"too few fields", "nothing between", "the other way round"}  # which MongoDB refuses
SECANTUS_CODES = {"no hint", "no index", "different fields"}  # 51174 for all three
SECANTUS_WHOLE = {"up to"}  # SecantusDB holds an array against a bound, and not its elements


def secantus_differs(name: str, hint: Any) -> bool:
    """SecantusDB's updates look past a hint at what the index has not."""
    return name in ("update", "update by _id") and hint in ("sparse", "partial")


async def test_hints_are_the_servers(filled: Store, mongo_uri: str) -> None:
    differences = {}
    async with pymongo.AsyncMongoClient[Any](mongo_uri) as client:
        database = client.get_default_database()
        await database[ENTITY].insert_many(copy.deepcopy(DOCUMENTS))
        await database.command({"createIndexes": ENTITY, "indexes": copy.deepcopy(INDEXES)})
        for hint in ("no_such", "_id_", {"a": 1, "b": -1}, "sparse", "partial"):
            for name in HINTED.keys() - {"explain", "delete"}:
                there = told(await database.command(HINTED[name](hint), check=False))
                here = told(await filled.run(HINTED[name](hint)))
                if in_any_order(there) != in_any_order(here) and not secantus_differs(name, hint):
                    differences[name, str(hint)] = there, here
        for name in BOUNDED.keys() - SECANTUS_SERVES - SECANTUS_CODES - SECANTUS_WHOLE:
            options, _ = BOUNDED[name]
            there = told(await database.command({"find": ENTITY, **options}, check=False))
            here = told(await filled.run({"find": ENTITY, **options}))
            if in_any_order(there) != in_any_order(here):
                differences[name] = there, here
    assert differences == {}
