"""A case replayed: both stores get the records that they had, and are asked the same again."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from shadow.compare.case import COLLECTION, Case
from shadow.compare.differ import difference
from shadow.compare.difference import Difference
from shadow.compare.kinds import Shape
from shadow.embedded import MongoServer, PostgresServer
from shadow_adapters.bson.codec import CODEC
from shadow_adapters.postgres.control import schema_statements
from shadow_adapters.postgres.engine import Engine
from shadow_adapters.postgres.layouts import DocumentsLayout
from shadow_adapters.postgres.pool import Connection, create_pool

MONGO, POSTGRES = "SHADOW_TEST_MONGO", "SHADOW_TEST_POSTGRES"


def replay(text: str) -> Difference | None:
    """How the two stores' answers differ, asked a case again; None where they agree.

    The servers are those that SHADOW_TEST_MONGO and SHADOW_TEST_POSTGRES name, else embedded ones. Each gets a database
    of a name of its own, dropped afterwards.

    Args:
        text: the case, as `Case.dump` writes it.

    Raises `shadow.embedded.EmbeddedError` where a server is neither named nor can be had.
    """
    case = Case.load(text)
    with ExitStack() as stack:
        mongo = os.environ.get(MONGO) or stack.enter_context(MongoServer()).uri
        postgres = os.environ.get(POSTGRES) or stack.enter_context(PostgresServer(durable=False)).dsn
        return asyncio.run(_replay(case, mongo, postgres))


async def _replay(case: Case, mongo: str, postgres: str) -> Difference | None:
    name = f"shadow_case_{uuid.uuid4().hex[:12]}"
    answers = {"legacy": await _on_legacy(case, mongo, name), "new": await _on_new(case, postgres, name)}
    follower = next(store for store in answers if store != case.authority)
    return difference(case.call, answers[case.authority], answers[follower])


async def _on_legacy(case: Case, uri: str, name: str) -> Any:
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        database = client.get_database(name, codec_options=CODEC)
        try:
            if case.legacy:
                await database[COLLECTION].insert_many([dict(record) for record in case.legacy])
            reply = await database.command(dict(case.command), codec_options=CODEC)
        except OperationFailure as error:
            return error
        finally:
            await client.drop_database(name)
    return _answer(case, reply)


async def _on_new(case: Case, dsn: str, name: str) -> Any:
    owner = await asyncpg.connect(dsn)
    try:
        await owner.execute(f"CREATE DATABASE {name}")
        own = _with_database(dsn, name)
        pool = await create_pool(own, min_size=0, max_size=1, role="data", asynchronous_commit=False)
        try:
            async with pool.connection() as conn:
                reply = await _ask_new(case, conn)
        finally:
            await pool.close()
    finally:
        await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await owner.close()
    return _answer(case, reply)


async def _ask_new(case: Case, conn: Connection) -> Mapping[str, Any]:
    layout = DocumentsLayout(COLLECTION, f"shadow_documents.{COLLECTION}")
    for statement in [*schema_statements(), *layout.ddl()]:
        await conn.execute(statement)
    engine = Engine(COLLECTION, f"{COLLECTION}.{COLLECTION}", layout)
    if case.new:
        await engine.execute(conn, {"insert": COLLECTION, "documents": [dict(record) for record in case.new]})
    return await engine.execute(conn, dict(case.command))


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def _answer(case: Case, reply: Mapping[str, Any]) -> Any:
    if not reply["ok"]:
        return OperationFailure(reply["errmsg"], reply["code"])
    documents: Sequence[Any] = reply["cursor"]["firstBatch"]
    return next(iter(documents), None) if case.call.shape is Shape.DOCUMENT else documents
