"""Filters as SQL conditions that select at least what the filter matches.

The structure of a filter (``$and``, ``$or``, operators of a field) is handled here, the same for every layout; what a
condition on one field is in SQL, the layout's resolver knows. What SQL cannot tell is left out, and the exact matcher
rechecks every row unless the whole condition is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson.dbref import DBRef
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.regex import Regex

from shadow_adapters.bson.match import operators_of
from shadow_adapters.postgres.compiler.resolver import FALSE, TRUE, Args, Condition, Resolver

_UNKNOWN = Condition("true", False)
RANGES = ("$gt", "$gte", "$lt", "$lte")
NOT_SCALAR = (Regex, re.Pattern, Mapping, list, tuple, DBRef, MinKey, MaxKey, type(None))
_NO_ID = (Regex, re.Pattern)


def where(filter: Mapping[str, Any], resolver: Resolver, args: Args) -> Condition:
    """The condition of a filter that the matcher has compiled (and so checked) already."""
    return _all(_counted(name, value, resolver, args) for name, value in filter.items())


def _counted(name: str, value: Any, resolver: Resolver, args: Args) -> Condition:
    """A clause; one that came to nothing leaves no parameters behind."""
    mark = len(args.values)
    condition = _clause(name, value, resolver, args)
    if condition.sql == TRUE.sql:
        del args.values[mark:]
    return condition


def _clause(name: str, value: Any, resolver: Resolver, args: Args) -> Condition:
    if name == "$and":
        return _all(where(branch, resolver, args) for branch in value)
    if name == "$or":
        return _any([where(branch, resolver, args) for branch in value])
    if name == "$comment":
        return TRUE
    if name.startswith("$"):
        return _UNKNOWN
    test = _on_id if name == "_id" else _on_field
    return _all(test(name, operator, operand, resolver, args) for operator, operand in operators_of(value).items())


def _on_id(_name: str, operator: str, operand: Any, resolver: Resolver, args: Args) -> Condition:
    if operator in ("$eq", "$in"):
        values = list(operand) if operator == "$in" else [operand]
        return _UNKNOWN if any(isinstance(v, _NO_ID) for v in values) else resolver.ids(values, args)
    if operator in RANGES and not isinstance(operand, NOT_SCALAR):
        return resolver.id_range(operator, operand, args) or _UNKNOWN
    return _UNKNOWN


def _on_field(path: str, operator: str, operand: Any, resolver: Resolver, args: Args) -> Condition:
    found: Condition | None = None
    if operator == "$eq" and not isinstance(operand, NOT_SCALAR):
        found = resolver.equals(path, operand, args)
    elif operator == "$in":
        found = _among(path, operand, resolver, args)
    elif operator in RANGES and not isinstance(operand, NOT_SCALAR):
        found = resolver.compares(path, operator, operand, args)
    elif operator == "$exists" and operand:
        found = resolver.exists(path, args)
    return found or _UNKNOWN


def _among(path: str, values: Sequence[Any], resolver: Resolver, args: Args) -> Condition | None:
    if any(isinstance(value, NOT_SCALAR) for value in values) or len(values) > 100:
        return None
    return _any([resolver.equals(path, value, args) or _UNKNOWN for value in values])


def _all(conditions: Iterable[Condition]) -> Condition:
    found = list(conditions)
    parts = [condition.sql for condition in found if condition.sql != TRUE.sql]
    exact = all(condition.exact for condition in found)
    return Condition(" AND ".join(parts), exact) if parts else Condition(TRUE.sql, exact)


def _any(conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return FALSE
    exact = all(condition.exact for condition in conditions)
    if any(condition.sql == TRUE.sql for condition in conditions):
        return Condition(TRUE.sql, exact)
    return Condition("(" + " OR ".join(f"({condition.sql})" for condition in conditions) + ")", exact)
