"""Tables for collections that appear, made by a role that may make none, and by nobody else."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from shadow.config import Settings
from shadow.schema import apply, layout_of
from shadow_adapters.postgres.admission import admit

SETTINGS = Settings.model_validate({"entities": {"all": {"legacy": {"mongo": "*"}}}})


@pytest.fixture
async def owner(postgres_dsn: str) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(postgres_dsn)
    await apply(SETTINGS, conn)
    yield conn
    await conn.close()


@pytest.fixture
async def runtime(owner: Any, postgres_dsn: str) -> AsyncIterator[Any]:
    """A session of a role that may write the control schema."""
    role = f"runtime_{uuid.uuid4().hex[:8]}"
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    await owner.execute(f"GRANT USAGE ON SCHEMA shadow TO {role}")
    await owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shadow TO {role}")
    conn = await asyncpg.connect(postgres_dsn, user=role, password="secret")
    yield conn
    await conn.close()
    await owner.execute(f"DROP OWNED BY {role}")
    await owner.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("collection", ["events", "events.old", 'l\'Été "x"', "x" * 150])
async def test_the_table_is_what_the_owner_would_have_made(owner: Any, runtime: Any, collection: str) -> None:
    entity = SETTINGS.entity_for("app", collection)
    assert entity is not None
    layout = layout_of(entity)
    await admit(runtime, entity.name)
    await admit(runtime, entity.name)
    assert await layout.check(runtime) == []
    await runtime.execute(f"INSERT INTO {layout.table} VALUES ('\\x01', '\\x', '{{}}', 0)")
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname LIKE 'outbox%'"
    assert await owner.fetchval(triggers, layout.table) == 2
    assert (await apply(SETTINGS, owner, [entity]))[-1].endswith("was ready, outbox ready")


async def test_the_outbox_marks_under_the_entitys_own_name(owner: Any, runtime: Any) -> None:
    entity = SETTINGS.entity_for("app", "it's")
    assert entity is not None
    await admit(runtime, entity.name)
    await owner.execute("INSERT INTO shadow.entity (entity, phase) VALUES ($1, 'write_new')", entity.name)
    await runtime.execute(f"INSERT INTO {layout_of(entity).table} VALUES ('\\x01', '\\x', '{{}}', 0)")
    assert await owner.fetchval("SELECT entity FROM shadow.mark") == "all.app.it's"


@pytest.mark.parametrize("entity", ["other.app.x", "all.app.$outbox$; DROP SCHEMA shadow CASCADE; --", "x"])
async def test_nothing_but_an_entity_of_a_pattern_is_admitted(runtime: Any, entity: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await admit(runtime, entity)


async def test_a_role_that_may_not_write_the_control_schema_gets_nothing(owner: Any, runtime: Any) -> None:
    await owner.execute(f"REVOKE INSERT ON shadow.entity FROM {await runtime.fetchval('SELECT session_user')}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await admit(runtime, "all.app.x")


async def test_the_role_itself_may_make_no_table(runtime: Any) -> None:
    await admit(runtime, "all.app.x")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("CREATE TABLE shadow_documents.x ()")
