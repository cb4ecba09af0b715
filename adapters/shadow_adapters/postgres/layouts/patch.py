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
    """The function that sets fields of one document of a table: in their places, new ones behind, in the order given.

    It returns `NOT_FOUND`, `UNCHANGED` or `CHANGED`, or null where the document is not one to be patched. Where an old
    value had fields of its own, their paths are taken out of ``q``. The row is not locked first, which would be a write
    of its own: where another writer was quicker, the version that was read is no more, and all begins anew.
    """
    return f"""
CREATE OR REPLACE FUNCTION {name}(key bytea, names bytea[], elements bytea[], fresh jsonb, known integer)
RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    place tid;
    old bytea;
    paths jsonb;
    new bytea;
    size integer;
    at integer;
    run integer;
    start integer;
    kind integer;
    hit integer;
    changed CONSTANT bytea[] := names;
    found_names integer;
    nested boolean;
BEGIN
    LOOP
        new := '';
        at := 4;
        run := 4;
        found_names := 0;
        nested := false;
        names := changed;
        SELECT t.ctid, t.doc, t.q INTO place, old, paths FROM {table} AS t WHERE t.k = key;
        size := octet_length(old) - 1;
        IF size IS NULL THEN
            RETURN {NOT_FOUND};
        ELSIF size >= {LARGEST} THEN
            RETURN NULL;
        END IF;
        WHILE at < size LOOP
            start := at;
            at := at + 1 + position('\\x00'::bytea IN substring(old FROM at + 2));
            kind := get_byte(old, start);
            hit := array_position(names, substring(old FROM start + 2 FOR at - start - 2));
            at := at + CASE
                WHEN kind IN (1, 9, 17, 18) THEN 8
                WHEN kind IN (2, 13, 14) THEN 4 + shadow_documents.bson_int(old, at)
                WHEN kind = 16 THEN 4
                WHEN kind IN (3, 4, 15) THEN shadow_documents.bson_int(old, at)
                WHEN kind = 5 THEN 5 + shadow_documents.bson_int(old, at)
                WHEN kind IN (6, 10, 127, 255) THEN 0
                WHEN kind = 7 THEN 12
                WHEN kind = 8 THEN 1
                WHEN kind = 19 THEN 16
            END;
            IF at IS NULL THEN
                RETURN NULL;
            ELSIF hit IS NOT NULL THEN
                new := new || substring(old FROM run + 1 FOR start - run) || elements[hit];
                nested := nested OR kind IN (3, 4);
                run := at;
                found_names := found_names + 1;
                EXIT WHEN found_names = cardinality(names);
                names[hit] := NULL;
            END IF;
        END LOOP;
        new := new || substring(old FROM run + 1 FOR size - run);
        IF found_names < cardinality(names) THEN
            FOR i IN 1 .. cardinality(names) LOOP
                IF names[i] IS NOT NULL THEN
                    new := new || elements[i];
                END IF;
            END LOOP;
        END IF;
        new := shadow_documents.bson_length(octet_length(new) + 5) || new || '\\x00'::bytea;
        IF new = old THEN
            RETURN {UNCHANGED};
        END IF;
        IF nested THEN
            paths := paths - ARRAY(SELECT path FROM jsonb_object_keys(paths) AS path
                                    WHERE convert_to(split_part(path, '.', 1), 'UTF8') = ANY(changed));
        END IF;
        UPDATE {table} AS t SET doc = new, v = known, q = paths || fresh WHERE t.ctid = place AND t.k = key;
        IF FOUND THEN
            RETURN {CHANGED};
        END IF;
    END LOOP;
END $$"""
