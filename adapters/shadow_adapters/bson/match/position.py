"""Which element of an array a document matched by: what the positional ``$`` of updates and projections stands for.

Each clause that is met by an element of an array tells that element's index, the outermost one where arrays are nested;
the last clause that tells one counts. Negations tell none, nor do the branches of ``$or`` and ``$nor``, as in MongoDB's
``MatchDetails``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from shadow_adapters.bson.match.comparison import plain
from shadow_adapters.bson.match.parser import Parser, is_condition
from shadow_adapters.bson.match.test import All, Leaf, Test
from shadow_adapters.bson.paths import REFERENCE_FIELDS, Predicate, ends_by_element

Position = Callable[[Mapping[str, Any]], int | None]


def filter_position(filter: Mapping[str, Any], parser: Parser) -> Position:
    """The function from a document that the filter matches to the index, None where no element decided."""
    clauses = list(_clauses(filter, parser))

    def position(document: Mapping[str, Any]) -> int | None:
        told = [index for clause in clauses if (index := clause(document)) is not None]
        return told[-1] if told else None

    return position


def _clauses(filter: Mapping[str, Any], parser: Parser) -> Iterator[Position]:
    for name, argument in filter.items():
        if name == "$and" or (name == "$or" and len(argument) == 1):
            for branch in argument:
                yield from _clauses(branch, parser)
        elif not name.startswith("$") or name in REFERENCE_FIELDS:
            test = parser.field(argument) if is_condition(argument) else plain(argument, parser.collation)
            yield from _of_test(test, tuple(name.split(".")))


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
