"""``dropIndexes`` on the documents layout, and ``listIndexes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.codec import decode
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.create_indexes import documents_layout, forget_index, learn
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.layouts.terms import Index, TextIndex
from shadow_adapters.postgres.replies import Reply

_DROP: Final = frozenset(("dropIndexes", "index"))
_LIST: Final = frozenset(("listIndexes", "cursor"))
_ID: Final = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


async def drop_indexes(call: Call, command: Mapping[str, Any]) -> Reply:
    """Drop indexes by name, by key, or all of them but that of ``_id`` (``"*"``).

    Raises `CommandFailure`: 27 for an index that does not exist, 72 for that of ``_id``.
    """
    check_fields(command, "dropIndexes", _DROP, frozenset())
    layout = documents_layout(call, "dropIndexes")
    await learn(call, layout)
    before = len(layout.indexes) + 1
    if dropped := _named(layout, command.get("index")):
        await forget_index(call, layout, *dropped)
    return {"nIndexesWas": before, "ok": 1.0}


def _named(layout: DocumentsLayout, wanted: Any) -> list[Index | TextIndex]:
    if wanted == "*":
        return list(layout.indexes)
    found: list[Index | TextIndex] = []
    for each in wanted if isinstance(wanted, list | tuple) else [wanted]:
        if each == "_id_" or (isinstance(each, Mapping) and dict(each) == {"_id": 1}):
            raise CommandFailure(72, "cannot drop _id index")
        same = [index for index in layout.indexes if _is(index, each)]
        if not same:
            told = f"with name [{each}]" if isinstance(each, str) else f"with key: {dict(each or {})}"
            raise CommandFailure(27, f"can't find index {told}")
        found += same
    return found


def _is(index: Index | TextIndex, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return list(index.key.items()) == list(wanted.items())
    return bool(index.name == wanted)


async def list_indexes(call: Call, command: Mapping[str, Any]) -> Reply:
    """The specifications of all indexes, that of ``_id`` first, as a cursor of one batch."""
    check_fields(command, "listIndexes", _LIST, frozenset())
    layout = documents_layout(call, "listIndexes")
    rows = await call.conn.fetch(f"SELECT spec FROM {layout.index_table} WHERE ready ORDER BY number")
    specs = [_ID, *(_shown(spec) for row in rows if (spec := decode(row[0])))]
    return {"cursor": {"firstBatch": specs, "id": 0, "ns": call.namespace}, "ok": 1.0}


def _shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A specification in the order in which MongoDB lists its fields."""
    return {"v": 2, "key": spec["key"], "name": spec["name"], **spec}
