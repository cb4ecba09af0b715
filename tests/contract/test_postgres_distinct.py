"""``distinct`` and a bare ``count`` on MongoDB and on both layouts, over values of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo.errors import OperationFailure

from shadow_adapters.bson import keys
from shadow_adapters.bson.codec import CODEC
from shadow_adapters.bson.distinct import Distinct
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store
from tests.contract.test_postgres_filters import DOCUMENTS as ALL
from tests.contract.test_postgres_filters import ODD_PATHS, PATHS

Command = dict[str, Any]


def is_odd(document: Command) -> bool:
    """Whether SecantusDB cannot hold its value, or counts it as one with another (see `test_where_a_path_leads`)."""
    value = next(value for name, value in document.items() if name != "_id")
    value = value["created"] if isinstance(value, dict) and "created" in value else value
    return type(value) in (bool, Decimal128) or value != value or value == DatetimeMS(2**62)


DOCUMENTS = [document for document in ALL if not is_odd(document)]
SECANTUS_STOPS = {"data.j", "data.0"}  # SecantusDB gives nothing for a field of later elements, nor null by an index

COMMANDS: dict[str, Command] = {
    **{path: {"distinct": ENTITY, "key": path} for path in (*PATHS, *ODD_PATHS) if path not in SECANTUS_STOPS},
    "filtered": {"distinct": ENTITY, "key": "level", "query": {"level": {"$gt": 0}}},
    "by id": {"distinct": ENTITY, "key": "level", "query": {"_id": "level-3"}},
    "nothing": {"distinct": ENTITY, "key": "nothing"},
    "no query": {"distinct": ENTITY, "key": "level", "query": None},
    "bad query": {"distinct": ENTITY, "key": "level", "query": {"$foo": 1}},
    "no key": {"distinct": ENTITY},
    "odd key": {"distinct": ENTITY, "key": 5},
    "odd query": {"distinct": ENTITY, "key": "level", "query": 5},
    "odd field": {"distinct": ENTITY, "key": "level", "odd": 5},
    "count": {"count": ENTITY},
}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


def essence(reply: Command) -> Any:
    """The values as a set: any of several equal ones may stand for all, and their order is nobody's."""
    if not reply.get("ok"):
        return "code", reply.get("code")
    return sorted(map(keys.encode, reply["values"])) if "values" in reply else reply["n"]


async def test_values_are_mongodbs(store: Store, mongo_uri: str) -> None:
    reply = await store.insert(*DOCUMENTS)
    assert reply["n"] == len(DOCUMENTS)
    differing = {}
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        database = client.get_default_database()
        database[ENTITY].insert_many(DOCUMENTS)
        for name, command in COMMANDS.items():
            try:
                theirs: Command = database.command(command, codec_options=CODEC)
            except OperationFailure as error:
                theirs = dict(error.details or {})
            ours = await store.run(command)
            if essence(ours) != essence(theirs):
                differing[name] = ours, theirs
    assert differing == {}


async def test_more_than_a_reply_holds_is_refused(store: Store) -> None:
    for number in range(17):
        await store.insert({"_id": str(number), "extra": str(number) + "x" * (1 << 20)})
    assert (await store.run({"distinct": ENTITY, "key": "extra"}))["code"] == 17217


@pytest.mark.parametrize(
    ("path", "documents", "expected"),
    [
        ("a", [{"a": 1}, {"a": 1.0}, {"a": Int64(2)}, {}, {"a": None}], [1, 2, None]),
        ("a", [{"a": False}, {"a": 0}, {"a": Decimal128("0.0")}, {"a": True}], [False, 0, True]),
        ("a.j", [{"a": [{"k": 1}, {"j": 2}]}], [2]),
        ("a.0", [{"a": [None]}, {"a": []}], [None]),
        ("a", [{"a": [1, [2, 3], []]}, {"a": []}], [1, [2, 3], []]),
        ("a.b", [{"a": [{"b": 1}, {"b": [2, 3]}, 4, [{"b": 5}]]}, {"a": 6}], [1, 2, 3]),
        ("a.0", [{"a": [[1, 2], 3]}, {"a": {"0": 4}}, {"a": [{"0": 5}]}], [1, 2, 4, {"0": 5}]),
        ("a.1.b", [{"a": [{"b": 1}, {"b": 2}]}, {"a": {"1": [{"b": 3}]}}], [2, 3]),
        ("a.00", [{"a": [1]}, {"a": {"00": 2}}], [2]),
    ],
)
def test_where_a_path_leads(path: str, documents: list[Command], expected: list[Any]) -> None:
    gathered = Distinct(path)
    for document in documents:
        gathered.add(document)
    assert list(map(repr, gathered.values)) == list(map(repr, expected))
