"""Exact matching of documents against MongoDB's filters: compile once, match many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.match.expr import uses_expression
from shadow_adapters.bson.match.identity import equality_id
from shadow_adapters.bson.match.parser import Parser, is_condition
from shadow_adapters.bson.match.position import Position, filter_position
from shadow_adapters.bson.match.test import DocumentPredicate
from shadow_adapters.bson.paths import Predicate

__all__ = ["Matcher", "compile_condition", "compile_filter", "equality_id", "is_condition", "uses_expression"]

_NO_VARIABLES: Final[Mapping[str, Any]] = {}
_PARSER: Final = Parser(_NO_VARIABLES)


class Matcher:
    """A compiled filter."""

    __slots__ = ("_filter", "_position", "matches")

    matches: DocumentPredicate
    """Whether a document matches. Raises `CommandFailure` where a regex would take too long on it."""

    def __init__(self, matches: DocumentPredicate, filter: Mapping[str, Any] | None = None) -> None:
        self.matches = matches
        self._filter = filter or {}
        self._position: Position | None = None

    def position(self, document: Mapping[str, Any]) -> int | None:
        """Index of the array element by which a document that matches does so; None where no element decided."""
        if self._position is None:
            self._position = filter_position(self._filter, _PARSER)
        return self._position(document)


def compile_filter(filter: Mapping[str, Any], variables: Mapping[str, Any] = _NO_VARIABLES) -> Matcher:
    """The matcher of a filter document.

    ``variables``: what ``$expr`` may use, by name: those of a ``let``, and ``NOW``.

    Raises `CommandFailure`: 2 for what MongoDB refuses too, and with ``unsupported`` for an operator not served here.
    """
    check_depth(filter)
    return Matcher(Parser(variables).filter(filter) if variables else _PARSER.filter(filter), filter)


def compile_condition(condition: Mapping[str, Any]) -> Predicate:
    """Whether a value, by itself, satisfies a document of operators, as if it were a field. Raises `CommandFailure`."""
    check_depth(condition)
    holds = _PARSER.field(condition).over("value")
    return lambda value: holds({"value": value})
