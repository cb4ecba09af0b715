"""Named SQL from ``queries.sql``, and the statements of the control schema."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from types import SimpleNamespace
from typing import Protocol

from shadow_adapters.postgres.samples import samples_ddl

_FOLDER = files("shadow_adapters.postgres.control")


class KeyedTable(Protocol):
    """What the outbox needs to know of a layout."""

    table: str

    def key_sql(self, row: str) -> str: ...


def _named(text: str) -> SimpleNamespace:
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    queries = (part.strip().removesuffix(";") for part in parts[1::2])
    return SimpleNamespace(**dict(zip(parts[::2], queries, strict=True)))


sql = _named((_FOLDER / "queries.sql").read_text())
"""Each query of ``queries.sql`` under its name."""


def schema_statements() -> list[str]:
    """The control schema, idempotent; each element may be run as a script of its own."""
    return [(_FOLDER / "schema.sql").read_text(), samples_ddl()]


def outbox_name(entity: str) -> str:
    """The name of an entity's outbox: its triggers and functions begin with it."""
    return "outbox_" + hashlib.sha256(entity.encode()).hexdigest()[:16]


def outbox_statements(entity: str, layout: KeyedTable) -> list[str]:
    """The trigger that marks every change of the entity's table while new is the authority.

    It runs in the writer's own transaction, whoever the writer is. SECURITY DEFINER with a fixed search path, so that a
    writer needs no rights on the control schema. TRUNCATE owes a debt. Rows that a sync puts while legacy is the
    authority are not marked. In phase ``new``, from which no way leads back, a second function lets the trigger rest,
    so that writes do not pay for it for ever; it gives up at once where somebody works on the table.
    """
    name = outbox_name(entity)
    literal = "'" + entity.replace("'", "''") + "'"
    is_authority = f"EXISTS (SELECT FROM shadow.entity e WHERE e.entity = {literal} AND e.phase = 'write_new')"
    mark = (
        "INSERT INTO shadow.mark (owner, seq, entity, key, opened_at) VALUES "
        "('00000000-0000-0000-0000-000000000000', nextval('shadow.outbox_seq'), "
        f"{literal}, {{}}, clock_timestamp());"
    )
    function = f"""
CREATE OR REPLACE FUNCTION shadow.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $outbox$
BEGIN
    IF NOT {is_authority} THEN RETURN NULL; END IF;
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO shadow.debt (entity, reason, since, payable_at)
        VALUES ({literal}, 'the table was truncated', clock_timestamp(), clock_timestamp());
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        {mark.format(layout.key_sql("OLD"))}
    END IF;
    IF TG_OP = 'INSERT' THEN
        {mark.format(layout.key_sql("NEW"))}
    ELSIF TG_OP = 'UPDATE' AND {layout.key_sql("NEW")} IS DISTINCT FROM {layout.key_sql("OLD")} THEN
        {mark.format(layout.key_sql("NEW"))}
    END IF;
    RETURN NULL;
END $outbox$"""
    rest = f"""
CREATE OR REPLACE FUNCTION shadow.{name}_rest() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '50ms' AS $rest$
BEGIN
    IF NOT EXISTS (SELECT FROM shadow.entity e WHERE e.entity = {literal} AND e.phase = 'new') THEN
        RETURN false;
    END IF;
    ALTER TABLE {layout.table} DISABLE TRIGGER {name};
    ALTER TABLE {layout.table} DISABLE TRIGGER {name}_truncate;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $rest$"""
    return [
        function,
        rest,
        f"CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {layout.table} "
        f"FOR EACH ROW EXECUTE FUNCTION shadow.{name}()",
        f"CREATE OR REPLACE TRIGGER {name}_truncate AFTER TRUNCATE ON {layout.table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION shadow.{name}()",
    ]
