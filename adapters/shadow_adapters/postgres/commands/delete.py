"""``delete``: by key in one statement, otherwise what the filter finds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.changes import change_many, change_one
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of
from shadow_adapters.postgres.commands.hints import obeyed_by
from shadow_adapters.postgres.query import compile_query, key_of_filter
from shadow_adapters.postgres.replies import Reply, invalid, write_error
from shadow_adapters.postgres.statements import delete_where

_SERVED: Final = frozenset(("delete", "deletes", "ordered", "let"))
_STATEMENT: Final = frozenset(("q", "limit", "collation"))
_REFUSED: Final = frozenset(("encryptionInformation",))


async def delete(call: Call, command: Mapping[str, Any]) -> Reply:
    """Run the statements; what is refused is told in ``writeErrors``. Raises `EpochMoved`, `OutcomeUnknown`, ..."""
    check_fields(command, "delete", _SERVED, _REFUSED)
    variables = variables_of(call, command)
    n, errors = 0, []
    for index, statement in enumerate(command["deletes"]):
        try:
            async with call.savepoint() if len(command["deletes"]) > 1 else nullcontext():
                n += await _delete(call, await obeyed_by(call, statement, "q"), variables)
        except (CommandFailure, Refused) as error:
            errors.append(write_error(index, invalid(error) if isinstance(error, Refused) else error))
            if command.get("ordered", True) is not False:
                break
    return {"n": n} | ({"writeErrors": errors} if errors else {}) | {"ok": 1.0}


async def _delete(call: Call, statement: Mapping[str, Any], variables: Mapping[str, Any]) -> int:
    check_fields(statement, "delete.deletes", _STATEMENT, _REFUSED)
    filter = document(statement, "q")
    gate = call.write_gate()
    limit, collation = int(bool(statement.get("limit"))), collation_of(statement)
    query = compile_query(call, gate, filter, limit=limit, variables=variables, collation=collation)
    if query.condition.exact and (not query.limit or key_of_filter(filter) is not None):
        return await delete_where(call, gate, query.condition, query.args)
    if query.limit:
        return 1 if await change_one(call, query, lambda _: None) else 0
    total, _ = await change_many(call, query, lambda _: None)
    return total
