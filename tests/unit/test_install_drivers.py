"""Installing: the façades bear the drivers' names, in this process and in its children, or somebody is told why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shadow.cli.run import STARTUP, environment

ROOT = Path(__file__).parents[2]


def python(code: str, *, run: bool = False, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own; ``run``: as ``shadow run`` starts it."""
    paths = [str(folder)] if folder else []
    paths += [str(ROOT), str(ROOT / "adapters"), str(ROOT / "flags")]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if run:
        given = environment(given, Path("shadow.toml"))
    return subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, timeout=60)


def holds(code: str, *, run: bool = False, folder: Path | None = None) -> None:
    done = python(code, run=run, folder=folder)
    assert done.returncode == 0, done.stderr


ROUTED = """
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
import motor.motor_asyncio as m, pymongo, shadow.motor, shadow.pymongo
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
assert m.AsyncIOMotorClient is AsyncIOMotorClient and issubclass(AsyncIOMotorClient, shadow.motor.AsyncIOMotorClient)
assert pymongo.AsyncMongoClient is AsyncMongoClient and issubclass(AsyncMongoClient, shadow.pymongo.AsyncMongoClient)
assert pymongo.MongoClient is pymongo.mongo_client.MongoClient is MongoClient
assert issubclass(MongoClient, shadow.pymongo.MongoClient) and issubclass(Database, shadow.pymongo.Database)
"""


def test_the_drivers_names_are_the_facades() -> None:
    holds(f"import shadow; shadow.install(); shadow.install()\n{ROUTED}")


@pytest.mark.parametrize("first", ["import motor.motor_asyncio", "import shadow.motor", "from pymongo import errors"])
def test_whichever_import_comes_first(first: str) -> None:
    holds(f"import shadow; shadow.install()\n{first}\n{ROUTED}")


def test_classes_keep_what_applications_rely_on() -> None:
    holds(
        f"""
import shadow; shadow.install()
{ROUTED}
import asyncio, pickle, typing
from pymongo.asynchronous.cursor import AsyncCursor
assert pickle.loads(pickle.dumps(AsyncIOMotorClient)) is AsyncIOMotorClient
assert typing.get_origin(AsyncMongoClient[typing.Any]) is AsyncMongoClient
class Mine(AsyncIOMotorClient):
    pass
async def main():
    client = Mine("mongodb://127.0.0.1:1", connect=False)
    assert isinstance(client, AsyncIOMotorClient) and not isinstance(AsyncMongoClient(connect=False), Mine)
    database = client["app"]
    assert isinstance(database, AsyncIOMotorDatabase) and not isinstance(client, AsyncIOMotorDatabase)
    plain = super(shadow.motor.AsyncIOMotorDatabase, database).__getitem__("not_configured")
    assert isinstance(plain, AsyncIOMotorCollection) and type(plain) is not AsyncIOMotorCollection
    direct = AsyncMongoClient(connect=False)
    cursor = super(shadow.pymongo.AsyncDatabase, direct["app"]).get_collection("not_configured").find()
    assert isinstance(cursor, AsyncCursor) and not isinstance(client, AsyncCursor)
    assert isinstance(direct["app"], AsyncDatabase) and isinstance(direct.get_database("app"), AsyncDatabase)
    assert isinstance(AsyncDatabase(direct, "app"), shadow.pymongo.AsyncDatabase)
    sync = MongoClient(connect=False)
    assert isinstance(sync["app"], Database) and isinstance(sync, MongoClient) and not isinstance(sync, Database)
    assert isinstance(Database(sync, "app"), shadow.pymongo.Database)
    with sync.start_session() as session:
        assert isinstance(session, pymongo.client_session.ClientSession)
asyncio.run(main())
"""
    )


def test_what_a_driver_makes_of_its_own_objects_stays_its_own() -> None:
    holds(
        f"""
import shadow; shadow.install()
{ROUTED}
import asyncio
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.collection import Collection
from shadow.facade.plain import plain_database
from shadow.stores import AsyncMongoClient as own
aware = CodecOptions(tz_aware=True)
async def main():
    for client in (AsyncIOMotorClient(connect=False), AsyncMongoClient(connect=False), MongoClient(connect=False)):
        plain = plain_database(client, "app")["things"]
        assert type(plain.with_options(codec_options=aware)) is type(plain), type(plain)
        assert type(plain.find()) is type(plain.find().clone())
    delegate = AsyncIOMotorClient(connect=False).delegate["app"]["things"].with_options(codec_options=aware)
    assert type(delegate) is Collection.__mro__[2] and isinstance(delegate, Collection)
    other = own(connect=False)["app"]["things"]
    assert type(other.with_options(codec_options=aware)) is type(other)
asyncio.run(main())
"""
    )


def test_shadow_itself_keeps_the_drivers_own() -> None:
    holds(
        f"""
import shadow; shadow.install()
{ROUTED}
from shadow.stores import AsyncMongoClient as own
from shadow.facade.plain import AsyncDatabase as plain
assert own is not AsyncMongoClient and plain is not AsyncDatabase
assert type(own(connect=False)["app"]) is type(own(connect=False).get_database("app")) is plain
"""
    )


@pytest.mark.parametrize(
    ("quicker", "named"),
    [
        ("from pymongo import MongoClient", "__main__"),
        ("import motor.motor_asyncio", "__main__"),
        ("import application", "application"),
    ],
)
def test_the_module_that_was_quicker_is_named(quicker: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text("from pymongo import AsyncMongoClient\n")
    done = python(f"{quicker}\nimport shadow\nshadow.install()", folder=tmp_path)
    assert done.returncode == 1
    assert f"{named} imported pymongo before Shadow was installed" in done.stderr
    assert "`shadow run -- COMMAND`" in done.stderr


def test_facades_that_are_in_use_already_are_in_nobodys_way() -> None:
    holds(f"import shadow, shadow.motor; shadow.install()\n{ROUTED}")


@pytest.mark.parametrize(
    "child",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', code], check=True)",
        "import multiprocessing as mp\np = mp.get_context('spawn').Process(target=exec, args=(code, {}))\n"
        "p.start(); p.join(); assert p.exitcode == 0",
        "import multiprocessing as mp\np = mp.get_context('fork').Process(target=exec, args=(code, {}))\n"
        "p.start(); p.join(); assert p.exitcode == 0",
        "exec(code)",
    ],
    ids=["subprocess", "spawn", "fork", "itself"],
)
def test_run_reaches_the_process_and_its_children(child: str) -> None:
    holds(f"code = {ROUTED!r}\n{child}", run=True)


def test_run_costs_a_process_without_a_driver_no_import_of_one() -> None:
    holds("import sys; assert 'pymongo' not in sys.modules and 'pydantic' not in sys.modules", run=True)


def test_the_users_own_sitecustomize_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['MINE'] = 'yes'\n")
    code = f"import os, sys; assert os.environ['MINE'] == 'yes' and {str(STARTUP)!r} not in sys.path\n{ROUTED}"
    holds(code, run=True, folder=tmp_path)


def test_the_command_line_never_installs() -> None:
    code = "import shadow.cli, pymongo, shadow.pymongo; assert pymongo.AsyncMongoClient.__mro__[1].__module__[:7] != "
    holds(f"{code}'shadow.'", run=True)
