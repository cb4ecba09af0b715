"""Every numbered case on the MongoDB server and on PostgreSQL's ``documents`` layout: the one answer that is written.

Where SecantusDB, which is not MongoDB, answers otherwise, the case says so, and must go on being true of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC, encode
from tests.contract.postgres_stores import ENTITY, Store, open_store
from tests.diffs.semantics import CASES, Case, Document, Looks

Run = Callable[[Document], Awaitable[Document]]

ELSEWHERE = {str(number): "tests/journeys/test_driver_semantics.py" for number in (95, 96, 98, 100)}
"""What only a driver can show."""


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


@pytest.fixture
def database(mongo_uri: str) -> Iterator[Any]:
    with pymongo.MongoClient[Document](mongo_uri) as client:
        yield client.get_default_database().with_options(CODEC)


def _named(command: Document) -> Document:
    """The command on the collection of the tests, which a look-up finds too."""
    text = {**command, next(iter(command)): ENTITY}
    for stage in text.get("pipeline", ()):
        if "$lookup" in stage:
            stage["$lookup"]["from"] = ENTITY
    return text


def _error(reply: Document) -> Any:
    """The code of what a reply tells of; None where that is success."""
    return reply.get("writeErrors", [reply])[0].get("code")


async def _outcome(case: Case, run: Run) -> Any:
    """What the case looks at, in a form that two outcomes are equal in only if they are the same bytes."""
    reply = await run(_named(case.command))
    error = _error(reply)
    if case.looks is Looks.CODE:
        return error
    assert error is None, reply
    if case.looks is Looks.REPLY:
        return {name: reply[name] for name in case.expected}
    if case.looks is Looks.RECORD:
        reply = await run({"find": ENTITY, "filter": {}})
    documents = [dict(found) for found in reply["cursor"]["firstBatch"]]
    if case.looks in (Looks.IDS, Looks.ORDER):
        ids = [document["_id"] for document in documents]
        return sorted(ids) if case.looks is Looks.IDS else ids
    return [encode(document) for document in documents]


def _expected(case: Case) -> Any:
    if case.looks is Looks.RECORD:
        return [encode(case.expected)]
    return [encode(each) for each in case.expected] if case.looks is Looks.DOCUMENTS else case.expected


async def _prepare(case: Case, run: Run) -> None:
    if case.unique:
        index = {"key": {case.unique: 1}, "name": "unique", "unique": True}
        assert (await run({"createIndexes": ENTITY, "indexes": [index]}))["ok"] == 1
    if case.documents:
        reply = await run({"insert": ENTITY, "documents": [dict(each) for each in case.documents]})
        assert reply.get("n") == len(case.documents), reply


def _name(case: Case) -> str:
    return f"{case.number}-{next(iter(case.command))}"


@pytest.mark.parametrize("case", CASES, ids=_name)
async def test_on_documents(store: Store, case: Case) -> None:
    async def run(command: Document) -> Document:
        return await store.run(command, fence=None)

    await _prepare(case, run)
    assert await _outcome(case, run) == _expected(case)


@pytest.mark.parametrize("case", CASES, ids=_name)
async def test_on_the_server(database: Any, case: Case) -> None:
    database.drop_collection(ENTITY)

    async def run(command: Document) -> Document:
        try:
            reply: Document = database.command(command, codec_options=CODEC)
        except OperationFailure as error:
            reply = dict(error.details or {})
        return reply

    try:
        await _prepare(case, run)
        found = await _outcome(case, run)
    except AssertionError:
        found = "an error"
    secantus = "secantusVersion" in database.client.server_info()
    assert (found == _expected(case)) is (case.secantus or not secantus), found


def test_every_number_has_a_case() -> None:
    numbers = {case.number for case in CASES} | ELSEWHERE.keys()
    assert numbers == {str(number) for number in range(1, 102)} | {f"P{number}" for number in range(1, 13)}
    for number, path in ELSEWHERE.items():
        assert re.search(rf"def test_{number}_", Path(path).read_text()), number
