"""``$set`` of whole fields of one document in one statement, without reading it first.

PostgreSQL replaces the fields inside the BSON bytes itself, under the row's lock. The function knows the size of every
BSON type and nothing else; a document with a type that it does not know, or a large one, is left to the general way.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Patch(NamedTuple):
    """One statement that sets fields of one document.

    ``outcome`` is an SQL expression: `NOT_FOUND`, `UNCHANGED`, `CHANGED`, or null where the document has to be read. It
    and the data-modifying ``ctes`` stand behind one named ``fence``.
    """

    ctes: str
    outcome: str
    args: list[Any]


LARGEST: Final = 32768
"""Largest record, in bytes, that is patched in place: PL/pgSQL is slow on long values."""

SET_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION shadow_documents.bson_set(doc bytea, names bytea[], elements bytea[]) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    at integer := 4;
    run integer := 4;
    start integer;
    kind integer;
    hit integer;
    left_over integer := cardinality(names);
    body bytea := '';
BEGIN
    WHILE left_over > 0 AND at < octet_length(doc) - 1 LOOP
        start := at;
        at := at + 1 + position('\\x00'::bytea IN substring(doc FROM at + 2));
        hit := array_position(names, substring(doc FROM start + 2 FOR at - start - 2));
        kind := get_byte(doc, start);
        at := at + CASE
            WHEN kind IN (1, 9, 17, 18) THEN 8
            WHEN kind IN (2, 13, 14) THEN 4 + shadow_documents.bson_int(doc, at)
            WHEN kind IN (3, 4, 15) THEN shadow_documents.bson_int(doc, at)
            WHEN kind = 5 THEN 5 + shadow_documents.bson_int(doc, at)
            WHEN kind IN (6, 10, 127, 255) THEN 0
            WHEN kind = 7 THEN 12
            WHEN kind = 8 THEN 1
            WHEN kind = 16 THEN 4
            WHEN kind = 19 THEN 16
        END;
        IF at IS NULL THEN
            RETURN NULL;
        ELSIF hit IS NOT NULL THEN
            body := body || substring(doc FROM run + 1 FOR start - run) || elements[hit];
            names[hit] := NULL;
            left_over := left_over - 1;
            run := at;
        END IF;
    END LOOP;
    body := body || substring(doc FROM run + 1 FOR octet_length(doc) - 1 - run);
    FOR i IN 1 .. cardinality(names) LOOP
        IF names[i] IS NOT NULL THEN
            body := body || elements[i];
        END IF;
    END LOOP;
    RETURN shadow_documents.bson_length(octet_length(body) + 5) || body || '\\x00'::bytea;
END $$"""
"""The document with the elements in the places of the fields of their names, new ones behind, in the order given."""

NUMBER_FUNCTIONS: Final = [
    """
CREATE OR REPLACE FUNCTION shadow_documents.bson_int(doc bytea, at integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT RETURN
    get_byte(doc, at) | (get_byte(doc, at + 1) << 8) | (get_byte(doc, at + 2) << 16) | (get_byte(doc, at + 3) << 24)""",
    """
CREATE OR REPLACE FUNCTION shadow_documents.bson_length(size integer) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT RETURN
    substr(int4send(size), 4, 1) || substr(int4send(size), 3, 1) || substr(int4send(size), 2, 1)
    || substr(int4send(size), 1, 1)""",
]
"""A length in BSON's byte order, read and written."""

NOT_FOUND: Final = 0
UNCHANGED: Final = 1
CHANGED: Final = 2


def table_function(name: str, table: str) -> str:
    """The function that sets fields of one document of a table.

    It returns `NOT_FOUND`, `UNCHANGED` or `CHANGED`, or null where the document is not one to be patched.
    """
    return f"""
CREATE OR REPLACE FUNCTION {name}(key bytea, names bytea[], elements bytea[], fresh jsonb, known integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    old bytea;
    new bytea;
BEGIN
    SELECT t.doc INTO old FROM {table} AS t WHERE t.k = key FOR UPDATE;
    IF NOT FOUND THEN
        RETURN {NOT_FOUND};
    ELSIF octet_length(old) > {LARGEST} THEN
        RETURN NULL;
    END IF;
    new := shadow_documents.bson_set(old, names, elements);
    IF new = old THEN
        RETURN {UNCHANGED};
    ELSIF new IS NOT NULL THEN
        UPDATE {table} AS t SET doc = new, v = known, q = t.q - ARRAY(
            SELECT path FROM jsonb_object_keys(t.q) AS path
            WHERE convert_to(split_part(path, '.', 1), 'UTF8') = ANY(names)) || fresh WHERE t.k = key;
        RETURN {CHANGED};
    END IF;
    RETURN NULL;
END $$"""
