"""Collections of a pattern that appear while the service runs: each becomes an entity, whoever meets it first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pymongo import DeleteMany, DeleteOne, InsertOne, MongoClient
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from shadow import runtime
from shadow.config import load
from shadow.embedded import MongoServer
from shadow.metrics.prometheus import registry
from shadow.pymongo import AsyncClientSession, AsyncMongoClient
from shadow.schema import apply
from shadow.status import status
from tests.journeys.runtime_support import until
from tests.journeys.test_run_demo_application import CONFIG


class Sent(CommandListener):
    """The commands that a client has sent, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.comments: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)
        self.comments.append(event.command.get("comment"))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """It does not matter."""

    def failed(self, event: CommandFailedEvent) -> None:
        """It does not matter."""


class Fleet:
    """One process, and the configuration that it follows."""

    def __init__(self, folder: Path, mongo: str, postgres: str) -> None:
        self.path, self.mongo, self.postgres = folder / "shadow.toml", mongo, postgres

    def want(self, phase: str) -> None:
        text = CONFIG.format(mongo=self.mongo, postgres=self.postgres, folder=self.path.parent, phase=phase)
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    async def phases(self) -> dict[str, str]:
        return {each.entity: each.phase for each in (await status(load(self.path))).entities}

    async def reaches(self, entity: str, phase: str) -> None:
        async def there() -> bool:
            return (await self.phases()).get(entity) == phase

        await until(there, f"{entity} in {phase}")


@pytest.fixture
async def fleet(tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str) -> AsyncIterator[Fleet]:
    made = Fleet(tmp_path, own_mongo.uri, postgres_dsn)
    made.want("shadow_read")
    conn = await asyncpg.connect(postgres_dsn)
    await apply(load(made.path), conn)
    await conn.close()
    runtime.install(load(made.path))
    yield made
    runtime.uninstall()


async def test_a_collection_that_appears_is_copied_and_follows(fleet: Fleet) -> None:
    with MongoClient[dict[str, Any]](fleet.mongo) as bare:
        bare["before"]["old"].insert_many([{"_id": n} for n in range(20)])
    async with AsyncMongoClient(fleet.mongo) as client:
        files: Any = client["later"]["fs"]["files"]  # what lies between is no collection
        await files.insert_one({"_id": 1, "n": 1})
        await fleet.reaches("all.later.fs.files", "shadow_read")
        await fleet.reaches("all.before.old", "shadow_read")  # nobody has used it
        await files.update_one({"_id": 1}, {"$inc": {"n": 1}})
        assert await files.find_one({"_id": 1}) == {"_id": 1, "n": 2}
        assert set(await fleet.phases()) == {"all.later.fs.files", "all.before.old"}
    conn = await asyncpg.connect(fleet.postgres)
    rows = await conn.fetch(
        "SELECT value FROM shadow.fact WHERE entity = 'all.before.old' AND name = 'verify_compared'"
    )
    await conn.close()
    assert [row[0] for row in rows] == [20]


async def test_a_collection_that_appears_late_begins_in_legacy(fleet: Fleet) -> None:
    async with AsyncMongoClient(fleet.mongo) as client:
        await client["app"]["first"].insert_one({"_id": 1})
        await fleet.reaches("all.app.first", "shadow_read")
        await client["app"]["second"].insert_one({"_id": 1})
        with MongoClient[dict[str, Any]](fleet.mongo) as bare:
            assert bare["app"]["second"].count_documents({}) == 1
        await fleet.reaches("all.app.second", "shadow_read")


@pytest.mark.skipif(not hasattr(AsyncClientSession, "bind"), reason="sessions are bound from PyMongo 4.17 on")
async def test_a_session_that_is_bound_concerns_nothing_of_shadows_own(fleet: Fleet) -> None:
    async with AsyncMongoClient(fleet.mongo) as client, client.start_session() as session, session.bind():
        await client["app"]["things"].insert_one({"_id": 1})
        await client.drop_database("app")
        assert await client["app"]["things"].find_one({}) is None


async def settled(made: Fleet, phase: str) -> None:
    """Let a process begin with the collection ``app.things`` in a phase."""
    made.want(phase)
    conn = await asyncpg.connect(made.postgres)
    await apply(load(made.path), conn)
    await conn.execute("INSERT INTO shadow.entity (entity, phase) VALUES ('all.app.things', $1)", phase)
    await conn.execute("SELECT shadow.admit('all.app.things')")
    await conn.close()
    runtime.install(load(made.path))


async def test_the_search_for_the_records_of_a_write_bears_its_comment_and_hides_no_error(
    tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str
) -> None:
    made = Fleet(tmp_path, own_mongo.uri, postgres_dsn)
    await settled(made, "dual_write")
    sent = Sent()
    try:
        async with AsyncMongoClient(made.mongo, event_listeners=[sent]) as client:
            things = client["app"]["things"]
            await things.find_one_and_delete({"a": 1}, comment="why")
            unknown = {"$expr": {"$eq": ["$a", "$$unknown"]}}
            with pytest.raises(WriteError) as refused:
                await things.update_one(unknown, {"$set": {"a": 2}})
            with pytest.raises(BulkWriteError):
                await things.bulk_write([InsertOne({"_id": 1}), DeleteOne(unknown)], ordered=False)
        assert refused.value.code == 17276
    finally:
        runtime.uninstall()
    assert sent.names[:2] == ["find", "findAndModify"] and sent.comments[:2] == ["why", "why"]


async def test_what_new_does_not_serve_is_refused_in_the_drivers_words(
    tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str
) -> None:
    made = Fleet(tmp_path, own_mongo.uri, postgres_dsn)
    await settled(made, "new")
    try:
        async with AsyncMongoClient(made.mongo) as client:
            with pytest.raises(OperationFailure, match="find_raw_batches is not served") as refused:
                await anext(client["app"]["things"].find_raw_batches())
            await client["app"]["things"].insert_one({"_id": 1})
            with pytest.raises(DuplicateKeyError):
                await client["app"]["things"].insert_one({"_id": 1})
            async with client.start_session() as session, await session.start_transaction():
                await client["app"]["things"].insert_many([{"_id": 2}, {"_id": 3}], session=session)
            assert await client["app"]["things"].distinct("_id") == [1, 2, 3]
        assert refused.value.code == 115
        labels = {"entity": "all.app.things", "op": "insert_one", "phase": "new", "store": "new", "outcome": "refused"}
        assert registry().get_sample_value("shadow_operations_total", labels) == 1, "nothing was asked of legacy"
    finally:
        runtime.uninstall()


async def test_a_collection_that_appears_is_in_its_phase_from_its_first_call_on(
    tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str
) -> None:
    made = Fleet(tmp_path, own_mongo.uri, postgres_dsn)
    made.want("legacy")
    made.path.write_text(made.path.read_text().replace("[gates]", "mark_budget_ms = 5000\n[gates]"))
    conn = await asyncpg.connect(postgres_dsn)
    await apply(load(made.path), conn)
    runtime.install(load(made.path))
    try:
        sent = Sent()
        async with AsyncMongoClient(made.mongo, event_listeners=[sent]) as client:
            for number in range(5):
                await client["app"][f"c{number}"].insert_one({"_id": 1})
            await client["app"]["bulk"].bulk_write([DeleteMany({"a": 1}), DeleteMany({"a": 2})])
            await client["app"]["validated"].index_information()
            await client.bulk_write([InsertOne({"_id": 1}, namespace=f"app.d{number}") for number in range(3)])
        assert sent.names == ["insert"] * 5 + ["delete", "listIndexes", "bulkWrite", "endSessions"]
        assert not any(entity.unsupported for entity in runtime.current().entities.values())
        assert await conn.fetchval("SELECT count(*) FROM shadow.mark") == 0
    finally:
        runtime.uninstall()
        await conn.close()
