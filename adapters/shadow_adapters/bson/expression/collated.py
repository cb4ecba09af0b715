"""Which expressions are the same under every collation: those that compare no values."""

from __future__ import annotations

from typing import Any, Final

from shadow_adapters.bson.paths import as_document

_COMPARING: Final = frozenset(
    (
        "$addToSet",
        "$bottom",
        "$bottomN",
        "$cmp",
        "$eq",
        "$gt",
        "$gte",
        "$in",
        "$indexOfArray",
        "$lt",
        "$lte",
        "$max",
        "$maxN",
        "$min",
        "$minN",
        "$ne",
        "$setDifference",
        "$setEquals",
        "$setIntersection",
        "$setIsSubset",
        "$setUnion",
        "$sortArray",
        "$top",
        "$topN",
    )
)


def compares(spec: Any) -> bool:
    """Whether an expression, or a stage of expressions, has an operator that compares values."""
    if isinstance(spec, list | tuple):
        return any(map(compares, spec))
    fields = as_document(spec)
    if fields is None:
        return False
    return any(name in _COMPARING or compares(value) for name, value in fields.items())
