"""Makes in PostgreSQL what Shadow needs: the control schema, each entity's table or rest column, and its outbox.

Everything is idempotent, and gentle with tables in use: each entity has a transaction of its own, which gives up rather
than let the application queue behind it. Nothing of a user's table is changed but the rest column and the trigger.
"""

from __future__ import annotations

from collections.abc import Iterable

from shadow.config import EntitySettings, Settings
from shadow.config.entities import READABLE
from shadow.stores import Mongo, Postgres
from shadow_adapters.failures import StoreError
from shadow_adapters.postgres.admission import admission_statements
from shadow_adapters.postgres.control import outbox_statements, schema_statements
from shadow_adapters.postgres.layouts import Layout, layout_for

LOCK_SECONDS = 5
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"


class SchemaError(StoreError):
    """A table that the configuration names is not there. The text names all of them."""


async def apply(settings: Settings, conn: Postgres, entities: Iterable[EntitySettings] | None = None) -> list[str]:
    """Make what is missing; returns one line for each thing seen to.

    Args:
        settings: the configuration.
        conn: as the role that owns the schema.
        entities: concrete ones (`expanded`); None: those of the configuration that are no patterns.

    Raises:
        SchemaError: naming every user's table that does not exist. Nothing was changed.
        asyncpg.LockNotAvailableError: a table is in use for longer than five seconds; run it again.
    """
    entities = own_entities(settings) if entities is None else list(entities)
    layouts = {entity.name: layout_of(entity) for entity in entities}
    await _require_tables(conn, entities, layouts)
    await _run(conn, schema_statements())
    await _run(conn, admission_statements(_patterns(settings), READABLE))
    lines = ["control schema: ready"]
    for entity in entities:
        lines.append(await _apply_entity(conn, entity, layouts[entity.name]))
    return lines


def own_entities(settings: Settings) -> list[EntitySettings]:
    """The configured collections that are no patterns."""
    return [entity for entity in settings.entities.values() if entity.legacy.mongo and not entity.legacy.is_pattern]


def _patterns(settings: Settings) -> list[str]:
    return [entity.name for entity in settings.entities.values() if entity.legacy.is_pattern]


async def expanded(settings: Settings, client: Mongo) -> list[EntitySettings]:
    """The configured collections, and those that exist now under each pattern. Raises pymongo's errors."""
    found = {entity.name: entity for entity in own_entities(settings)}
    if any(entity.legacy.is_pattern for entity in settings.entities.values()):
        for database in await client.list_database_names():
            for collection in await client[database].list_collection_names(filter={"type": "collection"}):
                if entity := settings.entity_for(database, collection):
                    found[entity.name] = entity
    return list(found.values())


def layout_of(entity: EntitySettings) -> Layout:
    """How the entity's records lie in PostgreSQL."""
    new = entity.new
    return layout_for(entity.name, layout=new.layout, table=entity.table, id_column=new.id, columns=entity.columns)


async def _require_tables(conn: Postgres, entities: list[EntitySettings], layouts: dict[str, Layout]) -> None:
    missing = [
        f"entities.{entity.name}: the table {entity.table} does not exist"
        for entity in entities
        if entity.new.layout == "table" and not await conn.fetch(_COLUMNS, layouts[entity.name].table)
    ]
    if missing:
        raise SchemaError("; ".join([*missing, "create them first, or correct new.postgres"]))


async def _apply_entity(conn: Postgres, entity: EntitySettings, layout: Layout) -> str:
    before = {row[0] for row in await conn.fetch(_COLUMNS, layout.table)}
    await _run(conn, [*layout.ddl(), *outbox_statements(entity.name, layout)])
    added = sorted({row[0] for row in await conn.fetch(_COLUMNS, layout.table)} - before)
    did = "created" if not before else f"added {', '.join(added)}" if added else "was ready"
    return f"{entity.name}: {entity.table} {did}, outbox ready"


async def _run(conn: Postgres, statements: list[str]) -> None:
    """Run the statements in one transaction, one such run at a time."""
    async with conn.transaction():
        await conn.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('shadow.schema', 0))")
        for statement in statements:
            await conn.execute(statement)
