"""Tables for collections that appear later, made by a process that may not make tables itself.

The owner installs one function, which makes the table and the outbox of an entity as `shadow schema` would. It serves
whoever may write the control schema's entities, for entities of the configured patterns only, and gives its caller
the rights on what it has made.
"""

from __future__ import annotations

from collections.abc import Iterable

from shadow_adapters.postgres.control import outbox_statements
from shadow_adapters.postgres.control.queries import outbox_name
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.pool import Connection

_ENTITY, _TABLE = "@entity@", "@table@"

_FUNCTION = """
CREATE OR REPLACE FUNCTION shadow.admit(p_entity text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $admit$
DECLARE
    hash CONSTANT text := encode(sha256(convert_to(p_entity, 'UTF8')), 'hex');
    plain CONSTANT text := regexp_replace(p_entity, '[^A-Za-z0-9_-]', '_', 'g');
    name CONSTANT text := left(plain, {readable}) || '_' || left(hash, 12);
    made text;
    part text;
BEGIN
    IF NOT has_table_privilege(session_user, 'shadow.entity', 'INSERT')
       OR NOT split_part(p_entity, '.', 1) = ANY ({patterns}) OR p_entity LIKE '%$%' THEN
        RAISE insufficient_privilege USING MESSAGE = 'shadow.admit: not an entity for this role to admit';
    END IF;
    IF has_table_privilege(session_user, to_regclass(format('shadow_documents.%I', name)), 'INSERT') THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('shadow.schema', 0));
    FOREACH part IN ARRAY {statements} LOOP
        made := replace(replace(part, '{outbox}', 'outbox_' || left(hash, 16)), '{table}', name);
        EXECUTE replace(made, '''{entity}''', quote_literal(p_entity));
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA shadow_documents TO %I', session_user);
    FOREACH part IN ARRAY ARRAY['', '$index', '$term'] LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON shadow_documents.%I TO %I', name || part, session_user);
    END LOOP;
END $admit$"""


def admission_statements(patterns: Iterable[str], readable: int) -> list[str]:
    """The function, for entities whose names begin with one of ``patterns`` and a dot.

    Args:
        readable: how many characters of an entity's name begin its table's name, before the hash.
    """
    layout = DocumentsLayout(_ENTITY, f"shadow_documents.{_TABLE}")
    statements = [*layout.ddl(), *outbox_statements(_ENTITY, layout)]
    texts = {
        "readable": str(readable),
        "patterns": _array(patterns),
        "statements": _array(statements),
        "outbox": outbox_name(_ENTITY),
        "table": _TABLE,
        "entity": _ENTITY,
    }
    function = _FUNCTION
    for name, text in texts.items():
        function = function.replace(f"{{{name}}}", text)
    return [function]


async def admit(conn: Connection, entity: str) -> None:
    """Make an entity's table, if it is not there. Raises asyncpg's errors."""
    await conn.execute("SELECT shadow.admit($1)", entity)


def _array(texts: Iterable[str]) -> str:
    return "ARRAY[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]::text[]"
