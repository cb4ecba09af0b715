"""``$exists $type``: whether a path leads to a value at all, and to one of which type."""

from __future__ import annotations

from typing import Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.match.test import Leaf, Not, Test
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.types import NUMBERS, is_number, type_name
from shadow_adapters.failures import CommandFailure

_BY_NUMBER = {number: name for name, number in NUMBERS.items()}
_NUMBER = frozenset(("int", "long", "double", "decimal"))


def exists(argument: Any) -> Test:
    """``$exists``: true for null too; on any truthy argument, as MongoDB reads truth."""
    present = Leaf(lambda value: value is not MISSING)
    return present if truthy(argument) else Not(present)


def truthy(value: Any) -> bool:
    """MongoDB's truth: null, false and the number zero are false, all else is true."""
    if isinstance(value, Decimal128):
        return bool(value.to_decimal())
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    return True


def of_type(argument: Any) -> Test:
    """``$type``: a value, or an element of an array, of one of the types; named, numbered, or several in an array."""
    asked = argument if isinstance(argument, list | tuple) else [argument]
    if not asked:
        raise CommandFailure(9, "$type must match at least one type")
    wanted = frozenset().union(*map(_types, asked))
    return Leaf(lambda value: value is not MISSING and type_name(value) in wanted)


def _types(asked: Any) -> frozenset[str]:
    if isinstance(asked, str):
        if asked == "number":
            return _NUMBER
        if asked not in NUMBERS:
            raise CommandFailure(2, f"Unknown type name alias: {asked}")
        return frozenset((asked,))
    if not is_number(asked):
        raise CommandFailure(14, "type must be represented as a number or a string")
    number = asked.to_decimal() if isinstance(asked, Decimal128) else asked
    if number not in _BY_NUMBER:
        hint = ". Instead use {$exists:false}." if number == 0 else ""
        raise CommandFailure(2, f"Invalid numerical type code: {number}{hint}")
    return frozenset((_BY_NUMBER[int(number)],))
