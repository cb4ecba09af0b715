"""``hint``: the index that is named must exist, and a query by it finds what the index has and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.contract import may_be_legacys
from shadow_adapters.failures import CommandFailure, NotReadable
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.create_indexes import learn
from shadow_adapters.postgres.commands.fields import searches
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.layouts.terms import Index, TextIndex

_FILTERS: Final = {
    "find": "filter",
    "aggregate": "pipeline",
    "count": "query",
    "distinct": "query",
    "findAndModify": "query",
    "findandmodify": "query",
}
"""The commands that take a hint, and what they look for by it. Of updates and deletes each statement has its own."""

_ID: Final = Index.of(0, {"key": {"_id": 1}, "name": "_id_"})
_NO_INDEX: Final = "planner returned error :: caused by :: hint provided does not correspond to an existing index"


async def obeyed(call: Call, command: Mapping[str, Any]) -> Mapping[str, Any]:
    """The command as its hint has it. Raises as `obeyed_by`."""
    filter = _FILTERS.get(next(iter(command)))
    return command if filter is None else await obeyed_by(call, command, filter)


async def obeyed_by(call: Call, command: Mapping[str, Any], filter: str) -> Mapping[str, Any]:
    """A command, or a statement of one, narrowed where its hint names an index that has not every document.

    Indexes of a real table are its designer's, who may have left out any that an application asks for: a hint is no
    more than advice there. ``filter``: the field that holds what is looked for.

    Raises (MongoDB 8.0, ``QueryPlanner::plan``):
        CommandFailure: 2 for an index that does not exist and where ``$text`` is looked for, 9 for what is no hint.
        NotReadable: this store does not know the index, and the authority may.
    """
    hint = command.get("hint")
    if hint is None or hint == {}:
        return command
    if not isinstance(hint, str | Mapping):
        raise CommandFailure(9, "Hint must be a string or an object")
    if searches({filter: command.get(filter)}):
        raise CommandFailure(2, "text and hint not allowed in same query")
    layout = call.layout
    if not isinstance(layout, DocumentsLayout) or (isinstance(hint, Mapping) and "$natural" in hint):
        return command
    held = _held(layout, hint)
    if held is None:
        await learn(call, layout)
        held = _held(layout, hint)
    if held is not None:
        return _narrowed(command, filter, held) if held else command
    if may_be_legacys(call.fence):
        raise NotReadable(layout.entity)
    if layout.indexes or await call.conn.fetchval(f"SELECT EXISTS (SELECT FROM {layout.table})"):
        raise CommandFailure(2, f"error processing query: ns={call.namespace} {_NO_INDEX}")
    return command  # MongoDB asks no collection that does not exist


def hinted(layout: DocumentsLayout, hint: str | Mapping[str, Any]) -> Index | None:
    """The index of a name or a key, among those that this process knows."""
    indexes = [_ID, *(index for index in layout.indexes if isinstance(index, Index) and not index.hidden)]
    return next((index for index in indexes if _is(index, hint)), None)


def order_of(call: Call, command: Mapping[str, Any]) -> Mapping[str, Any]:
    """The order in which the hinted index gives its documents; empty where none is hinted."""
    hint = command.get("hint")
    index = hinted(call.layout, hint) if hint and isinstance(call.layout, DocumentsLayout) else None
    return {} if index is None or not index.ordered else index.key


def _is(index: Any, hint: str | Mapping[str, Any]) -> bool:
    return bool(index.name == hint) if isinstance(hint, str) else list(index.key.items()) == list(hint.items())


def _held(layout: DocumentsLayout, hint: str | Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What is true of all documents that the index has, and of no other; None where there is no such index."""
    index = hinted(layout, hint)
    if index is None:
        return [] if any(_is(other, hint) for other in layout.indexes if isinstance(other, TextIndex)) else None
    held: list[Mapping[str, Any]] = []
    if index.sparse:
        held.append({"$or": [{path: {"$exists": True}} for path in index.key]})
    if index.partial is not None:
        held.append({"$nor": [{"$nor": [index.partial]}]})  # as it stands an upsert would take it for values
    return held


def _narrowed(command: Mapping[str, Any], filter: str, held: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The command that looks only for what the index has."""
    if filter == "pipeline":
        return {**command, filter: [{"$match": {"$and": held}}, *command[filter]]}
    return {**command, filter: {"$and": [command.get(filter) or {}, *held]}}
