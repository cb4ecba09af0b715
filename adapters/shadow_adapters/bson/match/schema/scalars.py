"""The keywords of numbers and texts: ``minimum maximum multipleOf minLength maxLength pattern``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bson.code import Code

from shadow_adapters.bson.match.comparison import ordered
from shadow_adapters.bson.match.schema.arguments import Keyword, Parse, bad, boolean, size, wrong_type
from shadow_adapters.bson.numbers import CONTEXT, as_decimal
from shadow_adapters.bson.paths import Predicate
from shadow_adapters.bson.pcre import compile_search
from shadow_adapters.bson.types import is_number


def _bound(name: str, argument: Any, schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    """``minimum`` and ``maximum``, which ``exclusiveMinimum`` and ``exclusiveMaximum`` beside them make strict."""
    if not is_number(argument):
        wrong_type(name, "a number", argument)
    operator = "$gt" if name == "minimum" else "$lt"
    beside = f"exclusive{name.capitalize()}"
    strict = beside in schema and boolean(beside, schema[beside])
    holds = ordered(operator if strict else f"{operator}e", argument).on()
    return lambda value: not is_number(value) or holds(value)


def _exclusive(name: str, _argument: Any, schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    bound = name.removeprefix("exclusive").lower()
    if bound not in schema:
        bad(bound, f"must be a present if {name} is present")
    return lambda _: True


def _multiple_of(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    if not is_number(argument):
        wrong_type(name, "a number", argument)
    divisor = as_decimal(argument)
    if not divisor > 0:
        bad(name, "must have a positive value")
    return lambda value: not is_number(value) or CONTEXT.remainder(as_decimal(value), divisor) == 0


def _length(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    wanted = size(name, argument)
    if name == "minLength":
        return lambda value: not _is_text(value) or len(value) >= wanted
    return lambda value: not _is_text(value) or len(value) <= wanted


def _pattern(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    if not isinstance(argument, str):
        wrong_type(name, "a string", argument)
    found = compile_search(argument, "")
    return lambda value: not _is_text(value) or found(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Code)


SCALARS: Final[dict[str, Keyword]] = {
    "exclusiveMaximum": _exclusive,
    "exclusiveMinimum": _exclusive,
    "maxLength": _length,
    "maximum": _bound,
    "minLength": _length,
    "minimum": _bound,
    "multipleOf": _multiple_of,
    "pattern": _pattern,
}
