"""Indexes of a real table, which are its designer's: listed as MongoDB would, and made in SQL only.

A plain index that the table lacks changes no answer, so asking for it is no mistake: it is left to the designer. A
unique one does, so it must be there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import OPEN, Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.table import TableLayout
from shadow_adapters.postgres.replies import Reply

Handler = Callable[[Call, Mapping[str, Any]], Awaitable[Reply]]

_CREATE: Final = frozenset(("createIndexes", "indexes", "commitQuorum"))
_INDEX: Final = frozenset(("key", "name", "unique", "sparse", "background", "v", "ns"))
_LIST: Final = frozenset(("listIndexes", "cursor"))
_ID: Final = {"v": 2, "key": {"_id": 1}, "name": "_id_"}

_COLUMNS: Final = """
SELECT true, c.relname, i.indisunique,
       array_agg(a.attname::text ORDER BY k.n), array_agg(i.indoption[k.n - 1] & 1 ORDER BY k.n)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, n)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND k.n <= i.indnkeyatts
GROUP BY c.relname, i.indisunique ORDER BY c.relname
"""
"""Name, uniqueness, columns and directions of each whole index; the first column stands for the gate."""


def by_layout(documents: Handler, table: Handler) -> Handler:
    """The handler of a command that each layout serves in its own way."""

    async def handle(call: Call, command: Mapping[str, Any]) -> Reply:
        return await (table if isinstance(call.layout, TableLayout) else documents)(call, command)

    return handle


async def create_table_indexes(call: Call, command: Mapping[str, Any]) -> Reply:
    """Check the indexes that are asked for against the table's. Raises `CommandFailure` for what must be made there."""
    check_fields(command, "createIndexes", _CREATE, frozenset())
    known = await _indexes(call)
    for spec in command["indexes"]:
        check_fields(spec, "createIndexes.indexes", _INDEX, frozenset(set(spec) - _INDEX))
        for path, direction in spec["key"].items():
            if direction not in (1, -1):
                kind = direction if isinstance(direction, str) else path
                raise CommandFailure(67, f"index type {kind} is not served", unsupported=f"index {kind}")
        if spec.get("unique") and not any(_holds(index, spec) for index in known):
            fields = ", ".join(spec["key"])
            text = f"a unique index of a real table is made in SQL: make one of what holds {fields}"
            raise CommandFailure(115, text, unsupported="createIndexes unique")
    same = {"numIndexesBefore": len(known), "numIndexesAfter": len(known), "note": "all indexes already exist"}
    return {"createdCollectionAutomatically": False, **same, "ok": 1.0}


async def list_table_indexes(call: Call, command: Mapping[str, Any]) -> Reply:
    """The table's indexes whose columns hold fields, that of ``_id`` first, as a cursor of one batch."""
    check_fields(command, "listIndexes", _LIST, frozenset())
    return {"cursor": {"firstBatch": await _indexes(call), "id": 0, "ns": call.namespace}, "ok": 1.0}


async def _indexes(call: Call) -> list[dict[str, Any]]:
    layout = call.layout
    assert isinstance(layout, TableLayout)
    paths = dict(zip(layout.names, layout.paths, strict=True))
    found: list[dict[str, Any]] = [_ID]
    for _, name, unique, columns, directions in await call.fetch(OPEN, _COLUMNS, [layout.table], writing=False):
        if all(column in paths for column in columns) and columns != [layout.names[0]]:
            key = {paths[column]: -1 if down else 1 for column, down in zip(columns, directions, strict=True)}
            found.append({"v": 2, "key": key, "name": name, **({"unique": True} if unique else {})})
    return found


def _holds(index: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Whether an index keeps apart what a unique one would; in which order its fields stand does not matter."""
    return index["key"].keys() == spec["key"].keys() and (index is _ID or bool(index.get("unique")))
