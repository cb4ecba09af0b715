"""`shadow check` and `shadow schema` against live stores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from bson import Int64, ObjectId
from pymongo import AsyncMongoClient

from shadow.check import Finding, Level, check
from shadow.config import ProtocolSettings, Settings
from shadow.schema import SchemaError, apply, expanded
from shadow.stores import DRIVER_NAME, driver_info
from shadow.strangers import stranger
from tests.contract.pooler import Pooler

TABLES = """
CREATE SCHEMA app;
CREATE TABLE app.agents (id uuid PRIMARY KEY, name varchar(8) NOT NULL, created_at timestamp);
CREATE TABLE app.snapshots (id uuid PRIMARY KEY, agent_id uuid REFERENCES app.agents (id));
"""
AGENTS = {
    "new": {"postgres": "app.agents"},
    "columns": {"name": "name", "created": "created_at"},
}
SNAPSHOTS = {"new": {"postgres": "app.snapshots"}, "columns": {"agent": "agent_id"}, "parents": ["agents"]}

Mongo = AsyncMongoClient[dict[str, Any]]


@pytest.fixture
async def mongo(mongo_uri: str) -> AsyncIterator[Mongo]:
    async with Mongo(mongo_uri, driver=driver_info()) as client:
        yield client


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    conn = await asyncpg.connect(postgres_dsn)
    await conn.execute(TABLES)
    yield conn
    await conn.close()


def settings(mongo: Mongo, mongo_uri: str, dsn: str, **entities: dict[str, Any]) -> Settings:
    """A configuration of collections of this test's database."""
    database = mongo.get_default_database().name
    named = {name: {"legacy": {"mongo": f"{database}.{name}"}, **entity} for name, entity in entities.items()}
    stores, gates = {"mongo": mongo_uri, "postgres": dsn}, {"waived": ["clients"]}  # other tests' drivers
    return Settings.model_validate({"stores": stores, "gates": gates, "entities": named})


def told(findings: list[Finding], level: Level) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in findings if finding.level is level]


async def test_schema_makes_what_is_missing_and_can_run_again(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn, agents=AGENTS, events={})
    first = await apply(where, postgres)
    assert [line.partition(",")[0] for line in first[1:]] == [
        "agents: app.agents added _rest",
        "events: shadow_documents.events created",
    ]
    second = await apply(where, postgres)
    assert all("was ready" in line for line in second[1:])
    columns = await postgres.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'app.agents'::regclass AND attnum > 0"
    )
    assert {row[0] for row in columns} == {"id", "name", "created_at", "_rest"}
    await postgres.execute("INSERT INTO app.agents (id, name) VALUES (gen_random_uuid(), 'by hand')")


async def test_schema_names_every_missing_table_and_changes_nothing(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    lost = {"new": {"postgres": "app.lost", "layout": "table"}}
    gone = {"new": {"postgres": "app.gone", "layout": "table"}}
    with pytest.raises(SchemaError, match=r"app\.lost does not exist.*app\.gone does not exist"):
        await apply(settings(mongo, mongo_uri, postgres_dsn, lost=lost, gone=gone), postgres)
    assert await postgres.fetchval("SELECT to_regnamespace('shadow')") is None


async def test_schema_gives_up_rather_than_queue_before_a_busy_table(
    mongo: Mongo,
    mongo_uri: str,
    postgres: asyncpg.Connection[asyncpg.Record],
    postgres_dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shadow.schema.LOCK_SECONDS", 0.2)
    busy = await asyncpg.connect(postgres_dsn)
    async with busy.transaction():
        await busy.execute("LOCK TABLE app.agents IN ROW EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await apply(settings(mongo, mongo_uri, postgres_dsn, agents=AGENTS), postgres)
    await busy.close()


async def test_a_pattern_covers_the_collections_that_exist(mongo: Mongo, mongo_uri: str, postgres_dsn: str) -> None:
    database = mongo.get_default_database()
    await database.events_a.insert_one({})
    await database.events_b.insert_one({})
    await database.other.insert_one({})
    pattern = {"legacy": {"mongo": f"{database.name}.events_*"}}
    found = await expanded(settings(mongo, mongo_uri, postgres_dsn, events=pattern), mongo)
    assert {entity.name for entity in found} == {f"events.{database.name}.events_{x}" for x in "ab"}


async def test_a_configuration_that_fits_has_no_errors(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn, agents=AGENTS, events={})
    await mongo.get_default_database().agents.insert_many([{"name": f"a{i}", "extra": Int64(i)} for i in range(20)])
    await mongo.get_default_database().events.insert_many([{"any": ["\0", float("nan")]}, {"_id": "text"}])
    await apply(where, postgres)
    findings = await check(where)
    assert told(findings, Level.ERROR) == [] and told(findings, Level.WARNING) == []
    assert ("entities.agents", "20 sampled documents fit") in told(findings, Level.NOTE)
    assert await postgres.fetchval("SELECT count(*) FROM app.agents") == 0, "nothing is kept"


async def test_documents_that_would_be_refused_are_counted_by_reason_without_their_values(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn, agents=AGENTS, snapshots=SNAPSHOTS)
    database = mongo.get_default_database()
    await database.agents.insert_many([{"name": "hunter2 and much more"}, {"name": None}, {"name": "fits"}])
    await database.agents.insert_one({"_id": 5, "name": "number"})
    await database.snapshots.insert_one({"agent": ObjectId()})
    await apply(where, postgres)
    findings = await check(where)
    errors = [what for place, what in told(findings, Level.ERROR) if place == "entities.agents"]
    assert len(errors) == 3 and all(what.startswith("1 of 4 sampled documents would be refused") for what in errors)
    assert any("too long" in what for what in errors) and any("null" in what for what in errors)
    assert [place for place, _ in told(findings, Level.WARNING)] == ["entities.snapshots"], "a parent may yet come"
    assert "hunter2" not in repr(findings)
    assert [finding.level for finding in findings] == sorted((f.level for f in findings), key=list(Level).index)


async def test_tables_and_columns_that_do_not_fit_are_errors(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    lost = {"new": {"postgres": "app.lost", "layout": "table"}}
    wrong = {"new": {"postgres": "app.agents"}, "columns": {"name": "nam"}}
    findings = await check(settings(mongo, mongo_uri, postgres_dsn, lost=lost, agents=wrong, events={}))
    places = [place for place, _ in told(findings, Level.ERROR)]
    assert {"entities.lost.new", "entities.agents.new", "entities.events.new", "stores.postgres"} <= set(places)
    assert any("nam" in what for place, what in told(findings, Level.ERROR) if place == "entities.agents.new")


async def test_what_deletes_behind_shadows_back_and_triggers_are_warned_of(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn, agents=AGENTS, event={})
    database = mongo.get_default_database()
    await database.events.insert_one({})
    await database.agents.create_index("created", expireAfterSeconds=60)
    await postgres.execute(
        "CREATE FUNCTION app.tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER tell AFTER INSERT ON app.agents FOR EACH ROW EXECUTE FUNCTION app.tell()"
    )
    await apply(where, postgres)
    warnings = told(await check(where), Level.WARNING)
    assert any("deletes documents" in what for _, what in warnings)
    assert any("triggers tell" in what for _, what in warnings)
    missing = next(f for f in await check(where) if f.where == "entities.event.legacy.mongo")
    assert missing.fix == f"did you mean {database.name}.events?"


async def test_a_pooler_in_transaction_mode_is_recognized(mongo: Mongo, mongo_uri: str, postgres_dsn: str) -> None:
    async with Pooler(postgres_dsn) as pooler:
        findings = await check(settings(mongo, mongo_uri, pooler.dsn))
    assert any("transaction mode" in what for _, what in told(findings, Level.ERROR))
    findings = await check(settings(mongo, mongo_uri, postgres_dsn))
    assert not any("pooler" in finding.what or "PgBouncer" in finding.what for finding in findings)


async def test_more_connections_than_the_server_allows_are_warned_of(
    mongo: Mongo, mongo_uri: str, postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn)
    assert any("each process may use 20 connections" in what for _, what in told(await check(where), Level.NOTE))
    greedy = where.model_copy(update={"protocol": ProtocolSettings(pool_size=100_000)})
    assert any("100010 connections" in what for _, what in told(await check(greedy), Level.WARNING))


async def test_stores_that_cannot_be_reached_are_both_told(mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadow.stores.WAIT_SECONDS", 0.2)
    nowhere = "mongodb://app:hunter2@127.0.0.1:1/"
    findings = await check(settings(mongo, nowhere, "postgresql://app:hunter2@127.0.0.1:1/db"))
    assert {place for place, _ in told(findings, Level.ERROR)} == {"stores.mongo", "stores.postgres"}
    assert "hunter2" not in repr(findings)


def test_a_client_that_is_not_shadows_is_told_from_shadow_and_the_server() -> None:
    def line(driver: str, **more: Any) -> dict[str, Any]:
        return {"clientMetadata": {"driver": {"name": driver}}, "client": "10.0.0.7:5123", **more}

    assert stranger(line("nodejs|mongosh", appName="mongosh 2")) == "mongosh 2 nodejs|mongosh from 10.0.0.7"
    assert stranger(line(f"PyMongo|c|{DRIVER_NAME}")) is None
    assert stranger(line("NetworkInterfaceTL")) is None
    assert stranger({"desc": "Checkpointer"}) is None


def test_the_command_line_exits_by_what_was_found(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> None:
    file = tmp_path / "shadow.toml"
    file.write_text(
        '[stores]\nmongo = "${M}"\npostgres = "${P}"\n[entities.events]\nlegacy = { mongo = "app.events" }\n'
    )

    def shadow(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "M": mongo_uri, "P": postgres_dsn, **environment}
        code = "from shadow.cli import main; main()"
        command = [sys.executable, "-c", code, *arguments, "--config", str(file)]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    before = shadow("check")
    assert before.returncode == 1 and "control schema is missing" in " ".join(before.stdout.split())
    made = shadow("schema")
    assert made.returncode == 0 and "shadow_documents.events created" in made.stdout
    assert shadow("check").returncode == 0
    for wrong in (shadow("check", M=""), shadow("schema", P="postgresql://app:hunter2@127.0.0.1:1/db")):
        assert wrong.returncode == 2 and wrong.stderr.startswith("shadow: ")
        assert "Traceback" not in wrong.stderr and "hunter2" not in wrong.stderr


async def test_a_sample_waits_for_nobody(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    where = settings(mongo, mongo_uri, postgres_dsn, events={})
    await mongo.get_default_database().events.insert_one({"_id": 1})
    await apply(where, postgres)
    async with postgres.transaction():
        await postgres.execute("LOCK TABLE shadow_documents.events IN SHARE MODE")
        async with asyncio.timeout(30):
            findings = await check(where)
    assert told(findings, Level.ERROR) == []


async def test_a_collection_with_a_collation_of_its_own_is_an_error(
    mongo: Mongo, mongo_uri: str, postgres: asyncpg.Connection[asyncpg.Record], postgres_dsn: str
) -> None:
    database = mongo.get_default_database()
    await database.create_collection("events", collation={"locale": "en", "strength": 2})
    await database.create_collection("others", collation={"locale": "simple"})
    where = settings(mongo, mongo_uri, postgres_dsn, events={}, others={})
    await apply(where, postgres)
    what = "has a collation of its own, under which new does not compare keys and texts"
    assert told(await check(where), Level.ERROR) == [("entities.events.legacy.mongo", what)]
