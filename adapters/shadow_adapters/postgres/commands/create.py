"""``create``: nothing to do, since the table is there already; a collection of a special kind is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.replies import Reply

_SERVED: Final = frozenset(("create", "autoIndexId", "idIndex"))
_REFUSED: Final = frozenset(
    (
        "capped",
        "size",
        "max",
        "storageEngine",
        "validator",
        "validationLevel",
        "validationAction",
        "indexOptionDefaults",
        "viewOn",
        "pipeline",
        "collation",
        "timeseries",
        "expireAfterSeconds",
        "clusteredIndex",
        "changeStreamPreAndPostImages",
        "encryptedFields",
    )
)
_EXISTS: Final = 48


async def create(call: Call, command: Mapping[str, Any]) -> Reply:
    """Raises `CommandFailure`: 48 for a collection that has records or indexes. An empty one cannot be told from none.

    Raises `EpochMoved`, `StoreDown`.
    """
    check_fields(command, "create", _SERVED, _REFUSED)
    gate = call.write_gate()
    sql = f"SELECT {gate.sql} AS ok, EXISTS (SELECT FROM {call.layout.table})"
    rows = await call.fetch(gate, sql, gate.args, writing=False)
    indexed = isinstance(call.layout, DocumentsLayout) and bool(call.layout.indexes)
    if rows[0][1] or indexed:
        raise CommandFailure(_EXISTS, f"Collection {call.namespace} already exists.")
    return {"ok": 1.0}
