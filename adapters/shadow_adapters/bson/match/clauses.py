"""A filter that was compiled, taken apart for those who answer some of it by other means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shadow_adapters.bson.match.parser import is_condition


def clauses(filter: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The clauses of a filter, all of which must hold: those under ``$and`` are among them."""
    for name, value in filter.items():
        if name == "$and":
            for branch in value:
                yield from clauses(branch)
        else:
            yield name, value


def operators_of(condition: Any) -> Mapping[str, Any]:
    """What is asked of a field, by operator; a value that stands for itself is asked to be equal."""
    operators: Mapping[str, Any] = condition if is_condition(condition) else {"$eq": condition}
    return operators
