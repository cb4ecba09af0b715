"""``update``: operators, a replacement or a pipeline, one or many, with upserts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Final

from shadow_adapters.bson import keys
from shadow_adapters.bson.paths import SCALARS
from shadow_adapters.bson.update import Update, check_update
from shadow_adapters.bson.update.paths import application_order
from shadow_adapters.contract import Key
from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.changes import change_many, change_one
from shadow_adapters.postgres.commands.alteration import Alteration
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of
from shadow_adapters.postgres.commands.hints import obeyed_by
from shadow_adapters.postgres.commands.insert import write_failure
from shadow_adapters.postgres.layouts.patch import CHANGED, NOT_FOUND, UNCHANGED
from shadow_adapters.postgres.query import Document, named_key
from shadow_adapters.postgres.replies import Reply, write_error
from shadow_adapters.postgres.statements import patch

_SERVED: Final = frozenset(("update", "updates", "ordered", "let", "bypassDocumentValidation"))
_STATEMENT: Final = frozenset(("q", "u", "c", "multi", "upsert", "arrayFilters", "sort", "collation"))
_REFUSED: Final = frozenset(("encryptionInformation", "bypassEmptyTsReplacement"))
_NEVER_PATCHED: Final = ("c", "arrayFilters", "sort", "collation")
"""What a statement that sets fields of a named record does not ask for."""


async def update(call: Call, command: Mapping[str, Any]) -> Reply:
    """Run the statements; what is refused is told in ``writeErrors``. Raises `EpochMoved`, `OutcomeUnknown`, ..."""
    check_fields(command, "update", _SERVED, _REFUSED)
    variables = variables_of(call, command)
    n = modified = 0
    upserted: list[Reply] = []
    errors: list[Reply] = []
    for index, statement in enumerate(command["updates"]):
        try:
            async with call.savepoint() if len(command["updates"]) > 1 else nullcontext():
                asked = await obeyed_by(call, statement, "q")
                found, touched, created = await _update(call, asked, variables)
        except CommandFailure as failure:
            errors.append(write_error(index, failure))
            if command.get("ordered", True) is not False:
                break
            continue
        n, modified = n + found, modified + touched
        if created is not None:
            upserted.append({"index": index, "_id": created["_id"]})
    reply: Reply = {"n": n, "nModified": modified}
    reply |= {"upserted": upserted} if upserted else {}
    reply |= {"writeErrors": errors} if errors else {}
    return reply | {"ok": 1.0}


async def _update(
    call: Call, statement: Mapping[str, Any], variables: Mapping[str, Any]
) -> tuple[int, int, Document | None]:
    """The numbers found and modified, and the document that an upsert created."""
    check_fields(statement, "update.updates", _STATEMENT, _REFUSED)
    filter, multi = document(statement, "q"), bool(statement.get("multi"))
    key = None if any(name in statement for name in _NEVER_PATCHED) else named_key(filter)
    fields = _set_fields(statement["u"]) if key is not None else None
    if key is not None and fields is not None:
        outcome = await _patch(call, key, fields)
        if outcome in (UNCHANGED, CHANGED):
            return 1, int(outcome == CHANGED), None
        if outcome == NOT_FOUND and not statement.get("upsert"):
            return 0, 0, None
    filters, constants, collation = statement.get("arrayFilters", ()), statement.get("c"), collation_of(statement)
    change = check_update(statement["u"], filters, variables, constants, collation)
    _check_statement(statement, change, multi=multi)
    sort, upserting = document(statement, "sort"), bool(statement.get("upsert"))
    alteration = Alteration(filter, change, variables, sort, upserting, collation)
    while True:
        n, modified = await _apply(call, alteration, multi=multi)
        if n or not alteration.upsert:
            return n, modified, None
        created = await alteration.insert(call)
        if created is not None:
            return 1, 0, created


def _check_statement(statement: Mapping[str, Any], change: Update, *, multi: bool) -> None:
    """Raises `CommandFailure` for a statement that asks for what its update is not for."""
    if multi and change.is_replacement:
        raise CommandFailure(9, "multi update is not supported for replacement-style update")
    if multi and statement.get("sort"):
        raise CommandFailure(9, "Cannot specify sort with multi=true")


def _set_fields(change: Any) -> Mapping[str, Any] | None:
    """The fields of an update that sets top-level fields and does nothing else, in the order of their application.

    Names that are plain words and values that hold no others need no other check. Raises `CommandFailure`.
    """
    fields = change.get("$set") if isinstance(change, dict) and len(change) == 1 else None
    if not fields or not isinstance(fields, dict) or any("." in name or name == "_id" for name in fields):
        return None
    if not all(name.isidentifier() and type(value) in SCALARS for name, value in fields.items()):
        check_update(change)
    if len(fields) == 1:
        return fields
    return {name: fields[name] for name in sorted(fields, key=lambda name: application_order((name,)))}


async def _patch(call: Call, key: Key, fields: Mapping[str, Any]) -> int | None:
    id = call.layout.id_of(key)
    if id is None:
        return NOT_FOUND
    try:
        return await patch(call, id, fields)
    except Refused as refused:
        raise write_failure(call, refused, {"_id": keys.decode(key), **fields}) from None


async def _apply(call: Call, alteration: Alteration, *, multi: bool) -> tuple[int, int]:
    query = alteration.query(call, limit=0 if multi else 1)
    last: list[Document] = []
    edit = alteration.edit(call, query.matcher.position, last)
    try:
        if multi:
            return await change_many(call, query, edit)
        changed = await change_one(call, query, edit)
    except Refused as refused:
        raise write_failure(call, refused, last[-1]) from None
    return (0, 0) if changed is None else (1, int(changed.modified))
