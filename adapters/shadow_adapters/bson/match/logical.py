"""``$and $or $nor`` over filters, ``$not`` over a field's condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shadow_adapters.bson.match.regex import as_regex, pattern
from shadow_adapters.bson.match.test import DocumentPredicate, Leaf, Not, every
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.match.parser import Parser


def all_filters(operator: str, argument: Any, parser: Parser) -> DocumentPredicate:
    """``$and``: every filter matches."""
    return every(_branches(operator, argument, parser))


def any_filter(operator: str, argument: Any, parser: Parser) -> DocumentPredicate:
    """``$or``: one of the filters matches."""
    branches = _branches(operator, argument, parser)
    return lambda document: any(matches(document) for matches in branches)


def no_filter(operator: str, argument: Any, parser: Parser) -> DocumentPredicate:
    """``$nor``: none of the filters matches."""
    matches_any = any_filter(operator, argument, parser)
    return lambda document: not matches_any(document)


def _branches(operator: str, argument: Any, parser: Parser) -> list[DocumentPredicate]:
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, f"{operator} must be an array")
    if not argument:
        raise CommandFailure(2, "$and/$or/$nor must be a nonempty array")
    if not all(isinstance(branch, Mapping) for branch in argument):
        raise CommandFailure(2, "$or/$and/$nor entries need to be full objects")
    return [parser.filter(branch) for branch in argument]


def negation(argument: Any, parser: Parser) -> Not:
    """``$not``: the regex or the operators do not hold; a missing field passes."""
    regex = as_regex(argument)
    if regex is not None:
        return Not(Leaf(pattern(regex)))
    if not isinstance(argument, Mapping):
        raise CommandFailure(2, "$not needs a regex or a document")
    if not argument:
        raise CommandFailure(2, "$not cannot be empty")
    return Not(parser.field(argument))
