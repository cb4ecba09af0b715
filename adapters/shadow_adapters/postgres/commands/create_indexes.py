"""``createIndexes`` on the documents layout: from then on the terms of every row written, then those of older ones.

An index is registered in a short transaction that holds the table: from its commit on, no row is written by anyone who
does not know the index (see `layouts.documents`). Queries use it when the older rows have their terms too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.collation import SIMPLE, compile_collation, completed_collation
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.text import OPTIONS, completed, is_text
from shadow_adapters.bson.types import is_number
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import KNOWN_INDEXES, DocumentsLayout
from shadow_adapters.postgres.layouts.terms import HASHED, Index, TextIndex
from shadow_adapters.postgres.query import BATCH, transaction
from shadow_adapters.postgres.replies import Reply, duplicate_key

_LOCK_MS: Final = 300
_LOCK_PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
_TEXTS: Final = 20
"""Documents whose texts are read while writers wait: each may have thousands of terms."""
_SERVED: Final = frozenset(("createIndexes", "indexes", "commitQuorum"))
_INDEX: Final = frozenset(
    (
        "key",
        "name",
        "unique",
        "sparse",
        "partialFilterExpression",
        "expireAfterSeconds",
        "collation",
        "hidden",
        "background",
        "v",
        "ns",
    )
)
_NOT_OF_TEXTS: Final = frozenset(("collation", "hidden"))
_REFUSED: Final = frozenset(
    (
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
    specs = [_checked(spec) for spec in command["indexes"]]
    await learn(call, layout)
    before = _ready(layout)
    fresh = [spec for spec in specs if not _exists(layout, spec)]
    if fresh:
        async with changing_indexes(call, layout):
            for spec in fresh:
                if not _exists(layout, spec) and not any(index.name == spec["name"] for index in layout.indexes):
                    await youngest(call, layout, spec)
                    await learn(call, layout)
        await learn(call, layout)
        names = [spec["name"] for spec in fresh]
        await _build(call, layout, [index for index in layout.indexes if index.name in names and not index.ready])
        await learn(call, layout)
    automatically = {"createdCollectionAutomatically": False}  # the table is there before it is used
    return {**automatically, "numIndexesBefore": before, "numIndexesAfter": _ready(layout), "ok": 1.0}


def _ready(layout: DocumentsLayout) -> int:
    return 1 + sum(index.ready for index in layout.indexes)


def _exists(layout: DocumentsLayout, spec: Mapping[str, Any]) -> bool:
    """Whether the index is there and ready.

    Raises `CommandFailure` 86 where its name is another index's, 85 or 67 for a second text index.
    """
    for index in layout.indexes:
        if (
            isinstance(index, TextIndex)
            and is_text(spec["key"])
            and (index.name != spec["name"] or not index.same(spec))
        ):
            if index.same_key(spec):
                text = f"An equivalent index already exists with different options or another name: {index.name}"
                raise CommandFailure(85, text)
            text = f"only one text index per collection allowed, found existing text index {index.name!r}"
            raise CommandFailure(67, text)
        if index.name == spec["name"]:
            if not index.same(spec):
                raise CommandFailure(86, f"An index named {spec['name']} exists with another definition")
            return index.ready
    return False


def documents_layout(call: Call, command: str) -> DocumentsLayout:
    """The layout that has indexes of Shadow's own. Raises `CommandFailure` for any other."""
    if isinstance(call.layout, DocumentsLayout):
        return call.layout
    message = "indexes of a real table are made, dropped and listed in SQL: do it there"
    raise CommandFailure(115, message, unsupported=command)


@asynccontextmanager
async def changing_indexes(call: Call, layout: DocumentsLayout) -> AsyncIterator[None]:
    """A short transaction in which nobody else reads or writes the collection, and its indexes are known.

    Raises `CommandFailure` 24 where somebody, such as an open cursor, does not let go of it; `EpochMoved`, `StoreDown`.
    """
    try:
        async with transaction(call):
            gate = call.write_gate()
            await call.fetch(gate, f"SELECT {gate.sql} AS ok", gate.args, writing=True)
            await _lock(call, layout, "ACCESS EXCLUSIVE")
            await learn(call, layout)
            yield
    finally:
        layout.forget()  # if this is rolled back, what was learnt is not true


async def learn(call: Call, layout: DocumentsLayout) -> None:
    """Know the indexes of now, whatever another call of this process has learnt while they were changing."""
    layout.forget()
    await layout.prepare(call.conn)


async def _lock(call: Call, layout: DocumentsLayout, mode: str) -> None:
    """Lock the table until the transaction's end.

    Whoever comes meanwhile waits behind this, so it waits a moment only, and tries again.
    """
    for pause in _LOCK_PAUSES:
        try:
            async with call.conn.transaction():
                await call.conn.execute(f"SET LOCAL lock_timeout = {_LOCK_MS}")
                await call.conn.execute(f"LOCK TABLE {layout.table} IN {mode} MODE")
                await call.conn.execute("SET LOCAL lock_timeout TO DEFAULT")
                return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(pause)
    raise CommandFailure(24, f"Unable to acquire the lock of collection {call.namespace}: it is in use")


def _checked(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The specification, a text index's completed. Raises `CommandFailure`."""
    key = spec.get("key")
    if not isinstance(key, Mapping) or not key or not spec.get("name"):
        raise CommandFailure(9, "an index needs a key and a name")
    texts = is_text(key)
    for path, direction in key.items():
        if texts and direction == "text":
            continue
        if direction not in (1, -1, HASHED) or path.startswith("$") or "$**" in path:
            kind = direction if isinstance(direction, str) else path
            raise CommandFailure(67, f"index type {kind} is not served", unsupported=f"index {kind}")
    check_fields(spec, "createIndexes.indexes", (_INDEX - _NOT_OF_TEXTS) | OPTIONS if texts else _INDEX, _REFUSED)
    if texts:
        spec = completed(spec)
        key = spec["key"]
    if HASHED in key.values():
        _check_hashed(spec)
    collation = compile_collation(spec.get("collation"))
    said = {"hidden": bool(spec.get("hidden")), "collation": collation is not SIMPLE}
    spec = {name: value for name, value in spec.items() if said.get(name, True)}
    if collation is not SIMPLE:
        spec["collation"] = completed_collation(spec["collation"])
    if not isinstance(spec.get("partialFilterExpression", {}), Mapping):
        raise CommandFailure(14, "The field 'partialFilterExpression' must be an object")
    # One that cannot be read would end every later call
    compile_filter(spec.get("partialFilterExpression", {}), collation=collation)
    if "expireAfterSeconds" in spec:
        seconds = spec["expireAfterSeconds"]
        if not is_number(seconds) or seconds < 0:
            raise CommandFailure(67, "TTL index 'expireAfterSeconds' option must be a number that is not negative")
        if len(key) > 1 or "_id" in key:
            raise CommandFailure(67, "TTL indexes are single-field indexes, and not of _id")
    return spec


def _check_hashed(spec: Mapping[str, Any]) -> None:
    if list(spec["key"].values()).count(HASHED) > 1:
        raise CommandFailure(31303, "A maximum of one index field is allowed to be hashed")
    if spec.get("unique"):
        raise CommandFailure(16764, "Currently hashed indexes cannot guarantee uniqueness. Use a regular index")


async def youngest(call: Call, layout: DocumentsLayout, spec: Mapping[str, Any]) -> None:
    """Note a change of the indexes: one more, or with an empty specification one less. Rows must know it from now on.

    A number is never used twice, so that nobody takes a new index for one that is gone.
    """
    conn, empty = call.conn, encode({})
    number = await conn.fetchval(
        f"INSERT INTO {layout.index_table} SELECT coalesce(max(number), 0) + 1, $1 FROM {layout.index_table} "
        "RETURNING number",
        encode(dict(spec)),
    )
    await conn.execute(f"DELETE FROM {layout.index_table} WHERE spec = $1 AND number < $2", empty, number)
    await conn.execute(f"ALTER TABLE {layout.table} DROP CONSTRAINT IF EXISTS {KNOWN_INDEXES}")
    await conn.execute(f"ALTER TABLE {layout.table} ADD CONSTRAINT {KNOWN_INDEXES} CHECK (v = {number}) NOT VALID")


async def _build(call: Call, layout: DocumentsLayout, indexes: Sequence[Index | TextIndex]) -> None:
    """Write the terms of the documents that were there before, while others go on; then let queries use the indexes.

    From its registration on every row is written with its terms, so that what is missing are those of older rows. Where
    this is interrupted, the next command for the index goes on.

    Raises `CommandFailure` 11000 where documents violate a unique one, which is then gone again.
    """
    for index in indexes:
        try:
            await _fill(call, layout, index)
        except CommandFailure:
            await forget_index(call, layout, index)
            raise
    if indexes:
        async with changing_indexes(call, layout):
            numbers = [index.number for index in indexes]
            await call.conn.execute(f"UPDATE {layout.index_table} SET ready = true WHERE number = ANY($1)", numbers)
            await youngest(call, layout, {})


async def forget_index(call: Call, layout: DocumentsLayout, *indexes: Index | TextIndex) -> None:
    """Take indexes away, then their terms, which nobody looks for any more."""
    async with changing_indexes(call, layout):
        numbers = [index.number for index in indexes]
        await youngest(call, layout, {})  # while the greatest number is still there
        await call.conn.execute(f"DELETE FROM {layout.index_table} WHERE number = ANY($1)", numbers)
    for index in indexes:
        bounds = (index.prefix, (index.number + 1).to_bytes(4, "big"))
        await call.conn.execute(f"DELETE FROM {layout.term_table} WHERE ik >= $1 AND ik < $2", *bounds)
    await learn(call, layout)


async def _fill(call: Call, layout: DocumentsLayout, index: Index | TextIndex) -> None:
    """Write the terms of every row, a few at a time, between which writers have their turn.

    While those are read and written nobody may write: a writer takes away the terms that it sees, and would not see
    those that are written beside it.
    """
    size = _TEXTS if isinstance(index, TextIndex) else BATCH
    after: Key | None = None
    while True:
        began = time.monotonic()
        async with transaction(call):
            await _lock(call, layout, "SHARE")
            chunk = await layout.scan(call.conn, after, size)
            if not chunk:
                return
            await _write_terms(call, layout, index, chunk)
        after = chunk[-1][0]
        await asyncio.sleep(time.monotonic() - began)


async def _write_terms(
    call: Call, layout: DocumentsLayout, index: Index | TextIndex, chunk: Sequence[tuple[Key, Record]]
) -> None:
    """Raises `CommandFailure` 11000 where another document has a term that must be unique."""
    values: dict[bytes, dict[str, Any]] = {}
    terms: list[tuple[bytes, Key]] = []
    for key, record in chunk:
        found = index.terms(layout.document((record,)), key)
        values |= found
        terms += [(ik, key) for ik in found]
    columns = [[ik for ik, _ in terms], [key for _, key in terms]]
    source = "unnest($1::bytea[], $2::bytea[]) AS n(ik, k)"
    await call.conn.execute(
        f"INSERT INTO {layout.term_table} (ik, k) SELECT n.ik, n.k FROM {source} ON CONFLICT DO NOTHING", *columns
    )
    others = f"SELECT n.ik FROM {source} JOIN {layout.term_table} AS u ON u.ik = n.ik AND u.k <> n.k LIMIT 1"
    if index.unique and (taken := await call.conn.fetchval(others, *columns)) is not None:
        raise duplicate_key(call.namespace, index.name, values[taken])
