"""What operators ask of values: whether there is one, whether it is true, how two compare, what type it has."""

from __future__ import annotations

from typing import Any, Final

from bson.code import Code
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.keys import TAG_UNDEFINED, encode
from shadow_adapters.bson.numbers import whole
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_KEY_OF_MISSING: Final = bytes((TAG_UNDEFINED,))
_COMPARABLE: Final = frozenset((int, str, bool, Int64))
_INT32: Final = 1 << 31


def nullish(value: Any) -> bool:
    """Whether a value is null or missing."""
    return value is None or value is MISSING


def truth(value: Any) -> bool:
    """MongoDB's truth in expressions: null, missing, false and the number zero are false, all else is true."""
    if isinstance(value, Decimal128):
        return bool(value.to_decimal() != 0)
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    return value is not MISSING


def key(value: Any) -> bytes:
    """The byte key that a value compares by; a missing one is below null."""
    return _KEY_OF_MISSING if value is MISSING else encode(value)


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1, in BSON's order of all values."""
    kind = type(left)
    if kind is type(right) and kind in _COMPARABLE:
        return int(left > right) - int(left < right)
    a, b = key(left), key(right)
    return (a > b) - (a < b)


def kind_name(value: Any) -> str:
    """MongoDB's name of a value's type, ``missing`` where there is none."""
    return "missing" if value is MISSING else type_name(value)


def is_text(value: Any) -> bool:
    """Whether a value is a BSON string; code is a class of strings in the driver, but another type."""
    return isinstance(value, str) and not isinstance(value, Code)


def is_object(value: Any) -> bool:
    """Whether a value is a document."""
    return value is not MISSING and as_document(value) is not None


def text(value: Any, code: int, what: str) -> str:
    """The value, which has to be a string. Raises `CommandFailure` of the code."""
    if not is_text(value):
        raise CommandFailure(code, f"{what}, found: {kind_name(value)}")
    return str(value)


def array(value: Any, code: int, what: str) -> list[Any]:
    """The value, which has to be an array. Raises `CommandFailure` of the code."""
    if not isinstance(value, list):
        raise CommandFailure(code, f"{what}, found: {kind_name(value)}")
    return value


def int32(value: Any, code: int, what: str) -> int:
    """The value, which has to be a whole number of 32 bits. Raises `CommandFailure` of the code."""
    number = whole(value)
    if number is None or not -_INT32 <= number < _INT32:
        raise CommandFailure(code, f"{what}, found: {kind_name(value)}")
    return number
