"""``replaceAll``: these documents instead of all that the collection has, in one transaction.

No command of MongoDB's, which does this at the end of a ``$out``: there the result is made beside the collection and
takes its name at once, with its indexes. So nobody sees a part of it here either, and what is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.commands.insert import insert
from shadow_adapters.postgres.query import compile_query, transaction
from shadow_adapters.postgres.replies import Reply, invalid
from shadow_adapters.postgres.statements import delete_where

_SERVED: Final = frozenset(("replaceAll", "documents"))
_AT_ONCE: Final = 1000
"""Documents in one statement."""


async def replace_all(call: Call, command: Mapping[str, Any]) -> Reply:
    """Raises `CommandFailure` for the first document that is refused, `EpochMoved`, `StoreDown`, `OutcomeUnknown`."""
    check_fields(command, "replaceAll", _SERVED, frozenset())
    documents = command["documents"]
    async with transaction(call):
        gate = call.write_gate()
        query = compile_query(call, gate, {})
        try:
            await delete_where(call, gate, query.condition, query.args)
        except Refused as refused:  # by another table, which holds on to a record
            raise invalid(refused) from None
        for at in range(0, len(documents), _AT_ONCE):
            reply = await insert(call, {"insert": command["replaceAll"], "documents": documents[at : at + _AT_ONCE]})
            for error in reply.get("writeErrors", ()):
                details = {name: value for name, value in error.items() if name not in ("index", "code", "errmsg")}
                raise CommandFailure(error["code"], error["errmsg"], details=details)
    return {"n": len(documents), "ok": 1.0}
