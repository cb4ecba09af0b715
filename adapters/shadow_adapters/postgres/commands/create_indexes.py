"""``createIndexes`` on the documents layout: the terms of every document, and from then on of every row written.

An index is made in one transaction that holds the table: from its commit on, no row is written by anyone who does not
know the index (see `layouts.documents`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import KNOWN_INDEXES, DocumentsLayout
from shadow_adapters.postgres.layouts.terms import Index
from shadow_adapters.postgres.query import BATCH, transaction
from shadow_adapters.postgres.replies import Reply, duplicate_key

_SERVED: Final = frozenset(("createIndexes", "indexes", "commitQuorum"))
_INDEX: Final = frozenset(
    ("key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds", "background", "v", "ns")
)
_REFUSED: Final = frozenset(
    (
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
    layout = documents_layout(call, "createIndexes")
    for spec in command["indexes"]:
        _check(spec)
    async with changing_indexes(call, layout):
        before = len(layout.indexes) + 1
        for spec in command["indexes"]:
            await _create(call, layout, spec)
        after = len(layout.indexes) + 1
        automatically = {"createdCollectionAutomatically": False}  # the table is there before it is used
        return {**automatically, "numIndexesBefore": before, "numIndexesAfter": after, "ok": 1.0}


def documents_layout(call: Call, command: str) -> DocumentsLayout:
    """The layout that has indexes of Shadow's own. Raises `CommandFailure` for any other."""
    if isinstance(call.layout, DocumentsLayout):
        return call.layout
    message = "indexes of a real table are made, dropped and listed in SQL: do it there"
    raise CommandFailure(115, message, unsupported=command)


@asynccontextmanager
async def changing_indexes(call: Call, layout: DocumentsLayout) -> AsyncIterator[None]:
    """A transaction in which nobody else reads or writes the collection, and its indexes are known.

    Raises `EpochMoved`, `StoreDown`.
    """
    async with transaction(call):
        gate = call.write_gate()
        await call.fetch(gate, f"SELECT {gate.sql} AS ok", gate.args, writing=True)
        await call.conn.execute(f"LOCK TABLE {layout.table} IN ACCESS EXCLUSIVE MODE")
        layout.forget()
        await layout.prepare(call.conn)
        try:
            yield
        finally:
            layout.forget()  # if this is rolled back, what was learnt is not true


def _check(spec: Mapping[str, Any]) -> None:
    key = spec.get("key")
    if not isinstance(key, Mapping) or not key or not spec.get("name"):
        raise CommandFailure(9, "an index needs a key and a name")
    for path, direction in key.items():
        if direction not in (1, -1) or path.startswith("$") or "$**" in path:
            kind = direction if isinstance(direction, str) else path
            raise CommandFailure(67, f"index type {kind} is not served", unsupported=f"index {kind}")
    check_fields(spec, "createIndexes.indexes", _INDEX, _REFUSED)
    if not isinstance(spec.get("partialFilterExpression", {}), Mapping):
        raise CommandFailure(14, "The field 'partialFilterExpression' must be an object")
    if "expireAfterSeconds" in spec:
        seconds = spec["expireAfterSeconds"]
        if not is_number(seconds) or seconds < 0:
            raise CommandFailure(67, "TTL index 'expireAfterSeconds' option must be a number that is not negative")
        if len(key) > 1 or "_id" in key:
            raise CommandFailure(67, "TTL indexes are single-field indexes, and not of _id")


async def _create(call: Call, layout: DocumentsLayout, spec: Mapping[str, Any]) -> None:
    known = [index for index in layout.indexes if index.name == spec["name"]]
    if known:
        if not known[0].same(spec):
            raise CommandFailure(86, f"An index named {spec['name']} exists with another definition")
        return
    fresh = Index.of(layout.version + 1, spec)
    await youngest(call, layout, spec)
    layout.indexes = (*layout.indexes, fresh)
    await _fill(call, layout, fresh)


async def youngest(call: Call, layout: DocumentsLayout, spec: Mapping[str, Any]) -> None:
    """Note a change of the indexes: one more, or with an empty specification one less. Rows must know it from now on.

    A number is never used twice, so that nobody takes a new index for one that is gone.
    """
    conn = call.conn
    layout.version += 1
    await conn.execute(f"INSERT INTO {layout.index_table} VALUES ($1, $2)", layout.version, encode(dict(spec)))
    await conn.execute(f"ALTER TABLE {layout.table} DROP CONSTRAINT IF EXISTS {KNOWN_INDEXES}")
    await conn.execute(
        f"ALTER TABLE {layout.table} ADD CONSTRAINT {KNOWN_INDEXES} CHECK (v = {layout.version}) NOT VALID"
    )


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
            for ik, values in index.terms(layout.document((record,)), key).items():
                if ik in terms:
                    raise duplicate_key(call.namespace, index.name, values)
                terms[ik] = (key, values)
        kept = {row[0] for row in await call.conn.fetch(insert, list(terms), [key for key, _ in terms.values()])}
        for ik, (_, values) in terms.items():
            if ik not in kept:
                raise duplicate_key(call.namespace, index.name, values)
        after = chunk[-1][0]
