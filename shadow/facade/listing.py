"""The collections of a database, as the stores that lead them have them.

MongoDB lists what it has. Of a collection that new leads it may still have a copy, or no longer; whether such a
collection is there, new says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shadow.ops.command import wire_command
from shadow_adapters.bson.match import compile_filter

_PLAIN: Mapping[str, Any] = {"options": {}, "info": {"readOnly": False}}
_ID_INDEX: Mapping[str, Any] = {"idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}


def filter_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The filter among the arguments of the driver's ``list_collections``."""
    return args[1] if len(args) > 1 else kwargs.get("filter")


def listed_names(names: Iterable[str], led: Mapping[str, bool], filter: Mapping[str, Any] | None) -> list[str]:
    """Names of collections.

    Args:
        names: those that MongoDB lists.
        led: whether a collection that new leads is there, by its name.
        filter: the caller's.
    """
    listed = [{"name": name} for name in names]
    return [str(each["name"]) for each in listed_documents(listed, led, filter, name_only=False)]


def listed_documents(
    documents: Iterable[Any], led: Mapping[str, bool], filter: Mapping[str, Any] | None, *, name_only: bool
) -> list[Any]:
    """Descriptions of collections. Arguments as of `listed_names`; ``name_only``: what the caller asked for."""
    kept = [document for document in documents if led.get(document["name"], True)]
    known = {document["name"] for document in kept}
    holds = compile_filter(wire_command(filter or {}, None))
    for name, is_there in led.items():
        made = {"name": name, "type": "collection", **_PLAIN, **_ID_INDEX}
        if is_there and name not in known and holds.matches(made):
            kept.append({"name": name, "type": "collection"} if name_only else made)
    return kept
