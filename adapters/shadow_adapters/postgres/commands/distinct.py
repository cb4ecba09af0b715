"""``distinct``: the values of a field among the documents that a filter matches."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.distinct import Distinct
from shadow_adapters.bson.limits import MAX_BYTES
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document
from shadow_adapters.postgres.query import compile_query, key_of_filter, matching_rows
from shadow_adapters.postgres.replies import Reply

_SERVED: Final = frozenset(("distinct", "key", "query", "collation"))
_REFUSED: Final = frozenset(("encryptionInformation",))


async def distinct(call: Call, command: Mapping[str, Any]) -> Reply:
    """``{values: [...]}``, in the order in which they were met.

    Raises `CommandFailure` (17217 where the values are more than a reply can hold), `NotReadable`, `StoreDown`.
    """
    check_fields(command, "distinct", _SERVED, _REFUSED)
    path = command.get("key")
    if path is None:
        raise CommandFailure(40414, "BSON field 'distinct.key' is missing but a required field")
    if not isinstance(path, str):
        raise CommandFailure(14, "BSON field 'distinct.key' is the wrong type, expected type 'string'")
    filter, collation = document(command, "query"), collation_of(command)
    gate = call.read_gate(key_of_filter(filter, collation))
    gathered = Distinct(path, collation)
    async with aclosing(matching_rows(call, gate, compile_query(call, gate, filter, collation=collation))) as stream:
        async for rows in stream:
            for _, found in rows:
                gathered.add(found)
    values = gathered.values
    if len(encode({"values": values})) > MAX_BYTES:
        raise CommandFailure(17217, "distinct too big, 16mb cap")
    return {"values": values, "ok": 1.0}
