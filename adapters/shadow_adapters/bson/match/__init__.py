"""Exact matching of documents against MongoDB's filters: compile once, match many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.match.clauses import clauses, operators_of
from shadow_adapters.bson.match.expr import repeatable, uses_expression
from shadow_adapters.bson.match.identity import equality_id
from shadow_adapters.bson.match.parser import Parser, is_condition
from shadow_adapters.bson.match.position import Position, filter_position
from shadow_adapters.bson.match.test import DocumentPredicate
from shadow_adapters.bson.paths import Predicate

__all__ = [
    "Matcher",
    "clauses",
    "compile_condition",
    "compile_filter",
    "equality_id",
    "is_condition",
    "operators_of",
    "repeatable",
    "uses_expression",
]

_NO_VARIABLES: Final[Mapping[str, Any]] = {}
_PARSER: Final = Parser(_NO_VARIABLES)


class Matcher:
    """A compiled filter."""

    __slots__ = ("_filter", "_parser", "_position", "matches")

    matches: DocumentPredicate
    """Whether a document matches. Raises `CommandFailure` where a regex would take too long on it."""

    def __init__(
        self, matches: DocumentPredicate, filter: Mapping[str, Any] | None = None, parser: Parser = _PARSER
    ) -> None:
        self.matches = matches
        self._filter = filter or {}
        self._parser = parser
        self._position: Position | None = None

    def position(self, document: Mapping[str, Any]) -> int | None:
        """Index of the array element by which a document that matches does so; None where no element decided."""
        if self._position is None:
            self._position = filter_position(self._filter, self._parser)
        return self._position(document)


def compile_filter(
    filter: Mapping[str, Any], variables: Mapping[str, Any] = _NO_VARIABLES, collation: Collation = SIMPLE
) -> Matcher:
    """The matcher of a filter document.

    Args:
        variables: what ``$expr`` may use, by name: those of a ``let``, and ``NOW``.
        collation: how texts compare.

    Raises `CommandFailure`: 2 for what MongoDB refuses too, and with ``unsupported`` for an operator not served here.
    """
    check_depth(filter)
    parser = _parser(variables, collation)
    return Matcher(parser.filter(filter), filter, parser)


def compile_condition(condition: Mapping[str, Any], collation: Collation = SIMPLE) -> Predicate:
    """Whether a value, by itself, satisfies a document of operators, as if it were a field. Raises `CommandFailure`."""
    check_depth(condition)
    holds = _parser(_NO_VARIABLES, collation).field(condition).over("value")
    return lambda value: holds({"value": value})


def _parser(variables: Mapping[str, Any], collation: Collation) -> Parser:
    return Parser(variables, collation) if variables or collation is not SIMPLE else _PARSER
