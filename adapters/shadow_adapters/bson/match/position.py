"""Which element of an array a document matched by: what the positional ``$`` of updates and projections stands for.

Each clause that is met by an element of an array tells that element's index, the outermost one where arrays are nested;
the last clause that tells one counts. Negations tell none, nor do the branches of ``$or`` and ``$nor``, as in MongoDB's
``MatchDetails``. Clauses are in the order into which MongoDB sorts them, not in which they are written: by their kind,
then by their path (``MatchExpression::sortTree``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from shadow_adapters.bson.match.arrays import of_values
from shadow_adapters.bson.match.parser import Parser, is_condition
from shadow_adapters.bson.match.regex import as_regex
from shadow_adapters.bson.match.test import All, Leaf, Test
from shadow_adapters.bson.paths import REFERENCE_FIELDS, Predicate, ends_by_element

Position = Callable[[Mapping[str, Any]], int | None]

_ELEM_MATCH_OF_VALUES: Final = "$elemMatch of values"
_KINDS: Final = (
    "$elemMatch",
    _ELEM_MATCH_OF_VALUES,
    "$size",
    "$eq",
    "$lte",
    "$lt",
    "$gt",
    "$gte",
    "$regex",
    "$mod",
    "$exists",
    "$in",
    "$bitsAllSet",
    "$bitsAllClear",
    "$bitsAnySet",
    "$bitsAnyClear",
    "$ne",
    "$nin",
    "$not",
    "$type",
)
"""Kinds of clauses in MongoDB's order."""
_RANKS: Final = {kind: rank for rank, kind in enumerate(_KINDS)}


class _Clause(NamedTuple):
    """A test of a path, with its place in the order."""

    rank: int
    path: bytes
    position: Position


def filter_position(filter: Mapping[str, Any], parser: Parser) -> Position:
    """The function from a document that the filter matches to the index, None where no element decided."""
    clauses = [clause.position for clause in sorted(_clauses(filter, parser), key=lambda clause: clause[:2])]

    def position(document: Mapping[str, Any]) -> int | None:
        told = [index for clause in clauses if (index := clause(document)) is not None]
        return told[-1] if told else None

    return position


def _clauses(filter: Mapping[str, Any], parser: Parser) -> Iterator[_Clause]:
    for name, argument in filter.items():
        if name == "$and" or (name == "$or" and len(argument) == 1):
            for branch in argument:
                yield from _clauses(branch, parser)
        elif not name.startswith("$") or name in REFERENCE_FIELDS:
            for kind, condition in _conditions(argument):
                for position in _of_test(parser.field(condition), tuple(name.split("."))):
                    yield _Clause(_RANKS[kind], name.encode(), position)


def _conditions(argument: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is asked of a field, one by one, with its kind; of ``$all``, what is asked in it."""
    if not is_condition(argument):
        yield _of_value(argument)
        return
    for operator, operand in argument.items():
        if operator == "$all":
            for item in operand:
                yield from _conditions(item)
        elif operator == "$in" and len(operand) == 1:
            yield _of_value(operand[0])
        elif operator == "$elemMatch":
            yield _ELEM_MATCH_OF_VALUES if of_values(operand) else operator, {operator: operand}
        elif operator == "$regex":
            yield operator, {name: argument[name] for name in ("$regex", "$options") if name in argument}
        elif operator != "$options":
            yield operator, {operator: operand}


def _of_value(value: Any) -> tuple[str, Mapping[str, Any]]:
    return ("$eq", {"$eq": value}) if as_regex(value) is None else ("$regex", {"$in": [value]})


def _of_test(test: Test, path: tuple[str, ...]) -> Iterator[Position]:
    if isinstance(test, Leaf):
        yield partial(_of_leaf, test, path)
    elif isinstance(test, All):
        for each in test.tests:
            yield from _of_test(each, path)


def _of_leaf(leaf: Leaf, path: tuple[str, ...], document: Mapping[str, Any]) -> int | None:
    for outer, value, open_array in ends_by_element(document, path):
        if leaf.into_arrays and open_array and isinstance(value, list):
            inner = _first(leaf.predicate, value)
            if inner is not None:
                return inner if outer is None else outer
        if leaf.predicate(value):
            return _first(leaf.element, value) if outer is None and leaf.element is not None else outer
    return None


def _first(holds: Predicate, array: Sequence[Any]) -> int | None:
    return next((index for index, element in enumerate(array) if holds(element)), None)
