"""``drop``: the collection's records and indexes go, its table stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.drop_indexes import drop_indexes
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.query import compile_query, transaction
from shadow_adapters.postgres.replies import Reply
from shadow_adapters.postgres.statements import delete_where

_SERVED: Final = frozenset(("drop",))


async def drop(call: Call, command: Mapping[str, Any]) -> Reply:
    """Delete everything in one transaction; the indexes of a real table are its designer's, and stay.

    Raises `EpochMoved`, `StoreDown`, `OutcomeUnknown`.
    """
    check_fields(command, "drop", _SERVED, frozenset(("encryptedFields",)))
    async with transaction(call):
        had = 1
        if isinstance(call.layout, DocumentsLayout):
            had = (await drop_indexes(call, {"dropIndexes": command["drop"], "index": "*"}))["nIndexesWas"]
        gate = call.write_gate()
        query = compile_query(call, gate, {})
        await delete_where(call, gate, query.condition, query.args)
    return {"nIndexesWas": had, "ns": call.namespace, "ok": 1.0}
