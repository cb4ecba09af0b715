"""``createIndexes`` on the documents layout: unique indexes as terms, all others as one index over the projection.

An index is made in one transaction that holds the table: from its commit on, no row is written by anyone who does not
know the index (see `layouts.documents`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import KNOWN_INDEXES, DocumentsLayout
from shadow_adapters.postgres.layouts.terms import Index
from shadow_adapters.postgres.query import BATCH, transaction
from shadow_adapters.postgres.replies import Reply, duplicate_key

_SERVED: Final = frozenset(("createIndexes", "indexes", "commitQuorum"))
_INDEX: Final = frozenset(("key", "name", "unique", "sparse", "background", "v", "ns"))
_REFUSED: Final = frozenset(
    (
        "partialFilterExpression",
        "expireAfterSeconds",
        "collation",
        "hidden",
        "weights",
        "default_language",
        "language_override",
        "textIndexVersion",
        "2dsphereIndexVersion",
        "bits",
        "min",
        "max",
        "wildcardProjection",
        "storageEngine",
    )
)


async def create_indexes(call: Call, command: Mapping[str, Any]) -> Reply:
    """Make the indexes that do not exist. Raises `CommandFailure`: 11000 where documents violate a unique one."""
    check_fields(command, "createIndexes", _SERVED, frozenset())
    layout = call.layout
    if not isinstance(layout, DocumentsLayout):
        message = "indexes of a real table are made in SQL: create them there"
        raise CommandFailure(115, message, unsupported="createIndexes")
    for spec in command["indexes"]:
        _check(spec)
    async with transaction(call):
        gate = call.write_gate()
        await call.fetch(gate, f"SELECT {gate.sql} AS ok", gate.args, writing=True)
        await call.conn.execute(f"LOCK TABLE {layout.table} IN ACCESS EXCLUSIVE MODE")
        layout.forget()
        await layout.prepare(call.conn)
        before = len(layout.indexes) + 1
        try:
            for spec in command["indexes"]:
                await _create(call, layout, spec)
            after = len(layout.indexes) + 1
        finally:
            layout.forget()  # if this is rolled back, what was learnt is not true
    return {"numIndexesBefore": before, "numIndexesAfter": after, "ok": 1.0}


def _check(spec: Mapping[str, Any]) -> None:
    check_fields(spec, "createIndexes.indexes", _INDEX, _REFUSED)
    key = spec.get("key")
    if not isinstance(key, Mapping) or not key or not spec.get("name"):
        raise CommandFailure(9, "an index needs a key and a name")
    for path, direction in key.items():
        if direction not in (1, -1) or path.startswith("$") or "$**" in path:
            kind = direction if isinstance(direction, str) else path
            raise CommandFailure(67, f"index type {kind} is not served", unsupported=f"index {kind}")


async def _create(call: Call, layout: DocumentsLayout, spec: Mapping[str, Any]) -> None:
    same = [index for index in layout.indexes if index.name == spec["name"]]
    fresh = Index.of(layout.version + 1, spec)
    if same:
        known = same[0]
        if (list(known.key.items()), known.unique, known.sparse) != (
            list(fresh.key.items()),
            fresh.unique,
            fresh.sparse,
        ):
            raise CommandFailure(86, f"An index named {spec['name']} exists with another definition")
        return
    conn = call.conn
    await conn.execute(f"INSERT INTO {layout.index_table} VALUES ($1, $2)", fresh.number, encode(dict(spec)))
    await conn.execute(f"ALTER TABLE {layout.table} DROP CONSTRAINT IF EXISTS {KNOWN_INDEXES}")
    await conn.execute(
        f"ALTER TABLE {layout.table} ADD CONSTRAINT {KNOWN_INDEXES} CHECK (v = {fresh.number}) NOT VALID"
    )
    layout.indexes = (*layout.indexes, fresh)
    if fresh.unique:
        await _fill(call, layout, fresh)
    else:
        await conn.execute(layout.gin_ddl())


async def _fill(call: Call, layout: DocumentsLayout, index: Index) -> None:
    """Write the terms of every document. Raises `CommandFailure` 11000 at the first that is held already."""
    after = None
    insert = (
        f"INSERT INTO {layout.term_table} (ik, k) SELECT * FROM unnest($1::bytea[], $2::bytea[]) "
        "ON CONFLICT DO NOTHING RETURNING ik"
    )
    while chunk := await layout.scan(call.conn, after, BATCH):
        terms = {}
        for key, record in chunk:
            for ik, values in index.terms(layout.document((record,))).items():
                if ik in terms:
                    raise duplicate_key(call.namespace, index.name, values)
                terms[ik] = (key, values)
        kept = {row[0] for row in await call.conn.fetch(insert, list(terms), [key for key, _ in terms.values()])}
        for ik, (_, values) in terms.items():
            if ik not in kept:
                raise duplicate_key(call.namespace, index.name, values)
        after = chunk[-1][0]
