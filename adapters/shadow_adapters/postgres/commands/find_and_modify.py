"""``findAndModify``: change the first record in an order, and return it as it was or as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.match.text import split_text
from shadow_adapters.bson.projection import compile_projection
from shadow_adapters.bson.update import check_update
from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.changes import Changed, change_one
from shadow_adapters.postgres.commands.alteration import Alteration
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of
from shadow_adapters.postgres.commands.insert import write_failure
from shadow_adapters.postgres.query import Document, compile_query
from shadow_adapters.postgres.replies import Reply

_SERVED: Final = frozenset(
    (
        "findAndModify",
        "findandmodify",
        "query",
        "sort",
        "remove",
        "update",
        "new",
        "fields",
        "upsert",
        "arrayFilters",
        "let",
        "collation",
        "bypassDocumentValidation",
    )
)
_REFUSED: Final = frozenset(("encryptionInformation",))


async def find_and_modify(call: Call, command: Mapping[str, Any]) -> Reply:
    """Run the command. Raises `CommandFailure`, `EpochMoved`, `StoreDown`, `OutcomeUnknown`."""
    check_fields(command, "findAndModify", _SERVED, _REFUSED)
    removing, new = bool(command.get("remove")), bool(command.get("new"))
    if removing == ("update" in command):
        raise CommandFailure(9, "Either an update or remove=true must be specified")
    if removing and (new or command.get("upsert")):
        raise CommandFailure(9, "Cannot specify both new=true or upsert=true and remove=true")
    if removing and command.get("arrayFilters"):
        raise CommandFailure(9, "Cannot specify arrayFilters and remove=true")
    filter, variables, collation = document(command, "query"), variables_of(call, command), collation_of(command)
    project = compile_projection(document(command, "fields"), split_text(filter)[1], variables, collation)
    if new and project.positional:
        raise CommandFailure(2, "cannot use a positional projection and return the new document")
    if removing:
        removed = await _remove(call, command)
        value = project.apply(removed.before) if removed else None
        return {"lastErrorObject": {"n": int(removed is not None)}, "value": value, "ok": 1.0}
    changed, created = await _update(call, _alteration(call, command))
    after = changed.after if changed else created
    found = after if new else changed.before if changed else None
    outcome: Reply = {"n": int(after is not None), "updatedExisting": changed is not None}
    outcome |= {"upserted": created["_id"]} if created else {}
    return {"lastErrorObject": outcome, "value": project.apply(found) if found is not None else None, "ok": 1.0}


def _alteration(call: Call, command: Mapping[str, Any]) -> Alteration:
    variables = variables_of(call, command)
    collation = collation_of(command)
    change = check_update(command["update"], command.get("arrayFilters", ()), variables, collation=collation)
    filter, sort = document(command, "query"), document(command, "sort")
    return Alteration(filter, change, variables, sort, bool(command.get("upsert")), collation)


async def _remove(call: Call, command: Mapping[str, Any]) -> Changed | None:
    filter, sort = document(command, "query"), document(command, "sort")
    variables, collation = variables_of(call, command), collation_of(command)
    gate = call.write_gate()
    query = compile_query(call, gate, filter, sort=sort, limit=1, variables=variables, collation=collation)
    try:
        return await change_one(call, query, lambda _: None)
    except Refused as refused:
        raise write_failure(call, refused, {}) from None


async def _update(call: Call, alteration: Alteration) -> tuple[Changed | None, Document | None]:
    """What was changed, or what an upsert created."""
    while True:
        changed = await _change(call, alteration)
        if changed is not None or not alteration.upsert:
            return changed, None
        created = await alteration.insert(call)
        if created is not None:
            return None, created


async def _change(call: Call, alteration: Alteration) -> Changed | None:
    query = alteration.query(call, limit=1)
    last: list[Document] = []
    try:
        return await change_one(call, query, alteration.edit(call, query.matcher.position, last))
    except Refused as refused:
        raise write_failure(call, refused, last[-1]) from None
