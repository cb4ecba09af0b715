"""``$size $all $elemMatch``: tests of an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.match.comparison import plain
from shadow_adapters.bson.match.test import NEVER, All, Leaf, Test
from shadow_adapters.bson.paths import REFERENCE_FIELDS, Predicate, as_document
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.match.parser import Parser

_OF_DOCUMENTS = REFERENCE_FIELDS | {"$and", "$or", "$nor"}


def size(argument: Any) -> Leaf:
    """``$size``: an array of exactly so many elements."""
    if not is_number(argument):
        raise CommandFailure(2, "Failed to parse $size. Expected a number.")
    number = argument.to_decimal() if isinstance(argument, Decimal128) else argument
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise CommandFailure(2, "Failed to parse $size. Expected an integer.")
    if number < 0:
        raise CommandFailure(2, "Failed to parse $size. Expected a non-negative number.")
    return Leaf(lambda value: isinstance(value, list) and len(value) == number, into_arrays=False)


def all_of(argument: Any, parser: Parser) -> Test:
    """``$all``: each of the values is there; or each of the ``$elemMatch`` holds for some element."""
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, "$all needs an array")
    if not argument:
        return NEVER
    operators = [_first_operator(item) for item in argument]
    if operators[0] == "$elemMatch":
        if any(operator != "$elemMatch" for operator in operators):
            raise CommandFailure(2, "$all/$elemMatch has to be consistent")
        return All(tuple(parser.field(item) for item in argument))
    if any(operators):
        raise CommandFailure(2, "no $ expressions in $all")
    return All(tuple(plain(item, parser.collation) for item in argument))


def _first_operator(item: Any) -> str | None:
    document = as_document(item)
    first = next(iter(document), "") if document else ""
    return first if first.startswith("$") and first not in REFERENCE_FIELDS else None


def elem_match(argument: Any, parser: Parser) -> Leaf:
    """``$elemMatch``: one element satisfies the whole condition; its operators, or a filter of documents."""
    if not isinstance(argument, Mapping):
        raise CommandFailure(2, "$elemMatch needs an Object")
    holds = parser.field(argument).on() if of_values(argument) else _document_holds(parser.filter(argument))
    return Leaf(lambda value: isinstance(value, list) and any(map(holds, value)), into_arrays=False, element=holds)


def of_values(argument: Mapping[str, Any]) -> bool:
    """Whether ``$elemMatch`` has operators for any element, and not a filter of documents."""
    first = next(iter(argument), "")
    return first.startswith("$") and first not in _OF_DOCUMENTS


def _document_holds(matches: Predicate) -> Predicate:
    def holds(element: Any) -> bool:
        if isinstance(element, list):  # an array inside is a document whose names are the indexes
            return matches({str(index): value for index, value in enumerate(element)})
        document = as_document(element)
        return document is not None and matches(document)

    return holds
