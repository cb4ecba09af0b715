"""Updates in memory against a real server, and on PostgreSQL against memory.

The server of the tests is SecantusDB, which is not MongoDB. Where the two part, MongoDB's rule is built here, and the
tables below name the difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, assume, given, settings
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC, decode, encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.update import apply_update
from shadow_adapters.failures import CommandFailure
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store
from tests.diffs.updates import Document, Statement, documents, filters, statements

Outcome = bytes | int
"""The record after an update, or the code of the error."""

QUICK = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture
def collection(mongo_uri: str) -> Iterator[Any]:
    with pymongo.MongoClient[Document](mongo_uri) as client:
        yield client.get_default_database().get_collection(ENTITY, codec_options=CODEC)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


def in_memory(document: Document, filter: Document, statement: Statement) -> Outcome:
    try:
        after = apply_update(
            document,
            statement.update,
            inserting=False,
            now=DatetimeMS(0),
            filter=filter,
            array_filters=statement.filters,
        )
    except CommandFailure as failure:
        return failure.code
    return encode(after)


def on_server(collection: Any, document: Document, filter: Document, statement: Statement) -> Outcome:
    collection.delete_many({})
    collection.insert_one(dict(document))
    try:
        reply = collection.database.command({"update": ENTITY, "updates": [statement.wire(filter)]})
    except OperationFailure as error:
        return error.code or 0
    return reply["writeErrors"][0]["code"] if "writeErrors" in reply else encode(collection.find_one())


DIFFERENCES: dict[str, Callable[[Document, Statement, Outcome, Outcome], bool]] = {
    "a positional operator of what is no array, or of elements that have no such field, changes nothing, and the paths "
    "that it stands for are not held against the others": lambda _document, statement, memory, _: (
        statement.positional and memory in (2, 28, 40)
    ),
    "the element that was found is no name of a field": lambda document, statement, *_: (
        statement.positional and isinstance(document["a"], dict)
    ),
    "of two mistakes another one is told first": lambda _document, _statement, memory, server: (
        isinstance(memory, int) and isinstance(server, int)
    ),
    "$rename passes over scalars in an array on its way": lambda _document, statement, memory, _: (
        isinstance(statement.update, dict) and "$rename" in statement.update and memory == 28
    ),
    "$bit makes an int of a long where it fits": lambda _document, statement, *_: "$bit" in statement.update,
    "a pipeline's $unset does not reach into the elements of an array": lambda document, statement, *_: (
        isinstance(statement.update, list)
        and any("$unset" in stage for stage in statement.update)
        and any(isinstance(value, list) for value in document.values())
    ),
}
"""Where SecantusDB may differ on a generated update."""

EXAMPLES: dict[str, tuple[Document, Document, Statement, Outcome | Document]] = {
    "of what is no array": ({"a": 5}, {}, Statement({"$inc": {"a.$[]": 1}}), 2),
    "of nothing that was found": ({"a": 5}, {"a": 5}, Statement({"$inc": {"a.$.b": 1}}), 2),
    "of elements that are no documents": ({"a": [5]}, {}, Statement({"$set": {"a.$[].b": 1}}), 28),
    "held against the others": ({"a": [5]}, {"a": 5}, Statement({"$set": {"a.$[]": 1, "a.$": 2}}), 40),
    "a name of a field": (
        {"a": {}, "b": [0, 1]},
        {"b": 1},
        Statement({"$set": {"a.$": 5}}),
        {"a": {"1": 5}, "b": [0, 1]},
    ),
    "the elements of an array": ({"a": [{"b": 0, "c": 1}]}, {}, Statement([{"$unset": "a.b"}]), {"a": [{"c": 1}]}),
}
"""A document, the filter, an update, and MongoDB's outcome, which is not SecantusDB's."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_where_the_server_is_not_mongodb(collection: Any, name: str) -> None:
    document, filter, statement, expected = EXAMPLES[name]
    outcome = encode({"_id": 1, **expected}) if isinstance(expected, dict) else expected
    assert in_memory({"_id": 1, **document}, filter, statement) == outcome
    secantus = "secantusVersion" in collection.database.client.server_info()
    found = on_server(collection, {"_id": 1, **document}, filter, statement)
    assert (found == outcome) is not secantus


@given(document=documents, filter=filters, statement=statements)
@QUICK
def test_memory_is_the_server(collection: Any, document: Document, filter: Document, statement: Statement) -> None:
    made = decode(encode({"_id": 1, **document}))
    assume(compile_filter(filter).matches(made))
    memory, server = in_memory(made, filter, statement), on_server(collection, made, filter, statement)
    secantus = "secantusVersion" in collection.database.client.server_info()
    explained = secantus and any(applies(made, statement, memory, server) for applies in DIFFERENCES.values())
    assert memory == server or explained


@given(document=documents, filter=filters, statement=statements)
@settings(QUICK, max_examples=100)
async def test_postgresql_is_memory(store: Store, document: Document, filter: Document, statement: Statement) -> None:
    made = decode(encode({"_id": "a", **document}))
    assume(compile_filter(filter).matches(made))
    await store.run({"delete": ENTITY, "deletes": [{"q": {}, "limit": 0}]})
    await store.insert(made)
    reply = await store.run({"update": ENTITY, "updates": [statement.wire(filter)]})
    code = reply["writeErrors"][0]["code"] if "writeErrors" in reply else None
    after = encode((await store.find({}))[0])
    memory = in_memory(made, filter, statement)
    assert (after if code is None else code) == memory
    if code is not None:
        assert after == encode(made)
