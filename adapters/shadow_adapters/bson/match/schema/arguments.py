"""The arguments of a schema's keywords, checked as MongoDB checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from bson.decimal128 import Decimal128

from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.paths import Predicate, as_document
from shadow_adapters.bson.types import is_number, type_name
from shadow_adapters.failures import CommandFailure

Parse = Callable[[Mapping[str, Any]], Predicate]
"""Compiles a schema inside of another one."""

Keyword = Callable[[str, Any, Mapping[str, Any], Parse], Predicate]
"""Compiles a keyword: its name, its argument, the schema that it stands in, and how to compile one inside of it."""


def wrong_type(keyword: str, expected: str, found: Any) -> NoReturn:
    """Raises `CommandFailure` 14."""
    raise CommandFailure(14, f"$jsonSchema keyword '{keyword}' must be {expected}, not {type_name(found)}")


def bad(keyword: str, why: str) -> NoReturn:
    """Raises `CommandFailure` 9."""
    raise CommandFailure(9, f"$jsonSchema keyword '{keyword}' {why}")


def document(keyword: str, argument: Any) -> Mapping[str, Any]:
    """An argument that is a document."""
    found = as_document(argument)
    if found is None:
        wrong_type(keyword, "an object", argument)
    return found


def array(keyword: str, argument: Any) -> Sequence[Any]:
    """An argument that is an array."""
    if not isinstance(argument, list | tuple):
        wrong_type(keyword, "an array", argument)
    return argument


def names(keyword: str, argument: Any) -> Sequence[str]:
    """An argument that is an array of different texts, at least one."""
    found = array(keyword, argument)
    for name in found:
        if not isinstance(name, str):
            wrong_type(keyword, "an array of strings", name)
    if not found:
        bad(keyword, "cannot be an empty array")
    if len(set(found)) < len(found):
        bad(keyword, "array cannot contain duplicate values")
    return found


def boolean(keyword: str, argument: Any) -> bool:
    """An argument that is a boolean."""
    if not isinstance(argument, bool):
        wrong_type(keyword, "a boolean", argument)
    return argument


def size(keyword: str, argument: Any) -> int:
    """An argument that is a whole number, not negative."""
    if not is_number(argument):
        bad(keyword, f"expects a number, not {type_name(argument)}")
    number = argument.to_decimal() if isinstance(argument, Decimal128) else argument
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        bad(keyword, "expects an integer")
    if number < 0:
        bad(keyword, "expects a number that is not negative")
    return int(number)


def unordered_key(value: Any) -> bytes:
    """A key that is the same for values that are equal whatever the order of their fields."""
    return encode(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_sorted(element) for element in value]
    fields = as_document(value)
    return value if fields is None else {name: _sorted(fields[name]) for name in sorted(fields)}
