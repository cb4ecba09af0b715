"""Reading and setting a value at a dotted path that goes through documents only, as pipelines' own fields do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.paths import MISSING, as_document


def get(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at the path; `MISSING` where the way is no chain of documents."""
    value: Any = document
    for part in path:
        inner = as_document(value)
        if inner is None:
            return MISSING
        value = inner.get(part, MISSING)
    return value


def put(document: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of the document with the value at the path: in its place, or behind; `MISSING` takes it away.

    What is in the way and no document is replaced by one.
    """
    copy = dict(document)
    name, rest = path[0], path[1:]
    if rest:
        inner = as_document(copy.get(name))
        if inner is None and value is MISSING:
            return copy
        copy[name] = put({} if inner is None else inner, rest, value)
    elif value is MISSING:
        copy.pop(name, None)
    else:
        copy[name] = value
    return copy
