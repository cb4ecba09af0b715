"""The elements of arrays that a projection of `find` chooses: ``$elemMatch``, and ``$``, the one that was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.expression import Expression
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.projection.nested import put
from shadow_adapters.bson.projection.paths import Path
from shadow_adapters.failures import CommandFailure


def elem_match(name: str, condition: Any, collation: Collation) -> Expression:
    """An array of the first element of the field that satisfies the condition; missing where there is none.

    Raises `CommandFailure` 31274 for a condition that is no document, and what a filter raises.
    """
    if not isinstance(condition, Mapping):
        raise CommandFailure(31274, "elemMatch: Invalid argument, object required")
    matcher = compile_filter({name: {"$elemMatch": condition}}, collation=collation)

    def run(scope: Mapping[str, Any]) -> Any:
        document = scope["ROOT"]
        index = matcher.position(document)
        return MISSING if index is None else [document[name][index]]

    return Expression(run)


def has_clause_of(filter: Mapping[str, Any], field: str) -> bool:
    """Whether a filter says something of a path that begins with the field, in whatever branch."""
    for name, argument in filter.items():
        if name in ("$and", "$or", "$nor"):
            if any(has_clause_of(branch, field) for branch in argument):
                return True
        elif name.partition(".")[0] == field:
            return True
    return False


def keep_found(document: dict[str, Any], path: Path, index: int | None) -> dict[str, Any]:
    """The document with only one element of the first array on the path; itself where there is no array.

    Raises `CommandFailure`: 51246 where no element was found, 51247 where the array has no such one.
    """
    value: Any = document
    for length, part in enumerate(path, 1):
        inner = as_document(value)
        value = MISSING if inner is None else inner.get(part, MISSING)
        if isinstance(value, list):
            if index is None:
                raise CommandFailure(51246, "positional operator '.$' couldn't find a matching element in the array")
            if index >= len(value):
                raise CommandFailure(51247, "positional operator '.$' element mismatch")
            return put(document, path[:length], [value[index]])
    return document
