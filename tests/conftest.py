"""Real servers for the tests: embedded ones, or those that SHADOW_TEST_MONGO and SHADOW_TEST_POSTGRES name.

Servers live for the session; each test gets databases of its own. A test that damages a server takes `own_mongo` or
`own_postgres`, which nobody else uses.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pymongo
import pytest
from pymongo.errors import PyMongoError

from shadow.embedded import EmbeddedError, MongoServer, PostgresServer, Server

S = TypeVar("S", bound=Server)

_AGAIN_SECONDS = 60.0


def pytest_configure(config: pytest.Config) -> None:
    """Side by side, files are taken in their order: the many short ones, of unit tests, last, to even out the ends."""
    config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(settings: Any) -> Generator[None, object, object]:
    """Tell a test again that it is too long: the first time may have ended a task of its own, which nobody awaits."""
    made = yield
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.setitimer(signal.ITIMER_REAL, settings.timeout, _AGAIN_SECONDS)
    return made


def _started(make: Callable[[], S]) -> S:
    """A running server; the test is skipped, with the reason, where it cannot be had."""
    try:
        return make().start()
    except EmbeddedError as error:
        pytest.skip(str(error))


def _started_anew(server: MongoServer) -> str:
    """Start a server that hangs anew; the end of its log, with what its threads were doing."""
    os.kill(server.pid, signal.SIGABRT)
    time.sleep(1)
    told = server.log.read_text("utf-8", "replace")[-8000:]
    server.kill()
    server.start()
    return told


def _with_database(uri: str, database: str) -> str:
    """The same connection string with another database in its path."""
    return urlunsplit(urlsplit(uri)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer | None]:
    """A MongoDB for the whole session; None where one runs already."""
    if os.environ.get("SHADOW_TEST_MONGO"):
        yield None
        return
    with _started(MongoServer) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server_uri(mongo_server: MongoServer | None) -> str:
    """The session's MongoDB, without a database in its URI."""
    return os.environ["SHADOW_TEST_MONGO"] if mongo_server is None else mongo_server.uri


@pytest.fixture(scope="session")
def postgres_server_dsn() -> Iterator[str]:
    """A PostgreSQL for the whole session: the database from which others can be made."""
    if given := os.environ.get("SHADOW_TEST_POSTGRES"):
        yield given
        return
    with _started(lambda: PostgresServer(durable=False)) as server:
        yield server.dsn


@pytest.fixture
def mongo_uri(mongo_server: MongoServer | None, mongo_server_uri: str) -> Iterator[str]:
    """A connection string whose default database is this test's own; dropped afterwards.

    A server that does not answer then is started anew, so that it costs one test and not all that follow.
    """
    database = f"t_{uuid.uuid4().hex[:12]}"
    yield _with_database(mongo_server_uri, database)
    try:
        with pymongo.MongoClient[dict[str, object]](mongo_server_uri, timeoutMS=60_000) as client:
            client.drop_database(database)
    except PyMongoError as error:
        if mongo_server is None:
            raise
        raise AssertionError(f"the session's MongoDB did not answer: {_started_anew(mongo_server)}") from error


@pytest.fixture
async def postgres_dsn(postgres_server_dsn: str) -> AsyncIterator[str]:
    """The connection string of a fresh, empty database; dropped afterwards with whoever is still connected."""
    database = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server_dsn)
    try:
        await admin.execute(f"CREATE DATABASE {database}")
        yield _with_database(postgres_server_dsn, database)
        await admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
def own_mongo() -> Iterator[MongoServer]:
    """A MongoDB of this test's own, to kill, pause and restart; what it acknowledged survives."""
    with _started(lambda: MongoServer(durable=True)) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own, to kill, pause and restart."""
    with _started(lambda: PostgresServer(durable=False)) as server:
        yield server
