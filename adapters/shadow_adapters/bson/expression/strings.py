"""Strings: joining, cutting, searching, replacing. Letters change their case in ASCII alone, as in MongoDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.expression.arguments import Parameters, between, by_name, fixed, variadic
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.node import present
from shadow_adapters.bson.expression.texts import iso, number_text
from shadow_adapters.bson.expression.values import int32, is_text, kind_name, nullish, text
from shadow_adapters.bson.numbers import as_double, kind_of
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_SPACE: Final = "\0 \t\n\v\f\r\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B)))
_TRIM: Final = Parameters({"input": 50695}, ("chars",), unknown=50694, no_object=50696)
_LONGEST: Final = 64 * 1024 * 1024
"""Characters that an expression may put together; MongoDB's buffers take as many bytes."""
_REPLACE: Final = Parameters({"input": 51749, "find": 51748, "replacement": 51747}, (), unknown=51750, no_object=51751)


def _check_length(length: int) -> None:
    if length > _LONGEST:
        raise CommandFailure(13548, f"BufBuilder attempted to grow() to {length} bytes, past the 64MB limit.")


def _concat(*values: Any) -> Any:
    parts = []
    for value in values:
        if nullish(value):
            return None
        if not is_text(value):
            raise CommandFailure(16702, f"$concat only supports strings, not {kind_name(value)}")
        parts.append(value)
    _check_length(sum(map(len, parts)))
    return "".join(parts)


def _as_text(value: Any) -> str:
    """A value as a string, for operators that take others too. Null and missing are empty."""
    if nullish(value):
        return ""
    if is_text(value):
        return str(value)
    if isinstance(value, DatetimeMS):
        return iso(value)
    if kind_of(value) is None:
        raise CommandFailure(16007, f"can't convert from BSON type {kind_name(value)} to String")
    return number_text(value)


def _strcasecmp(left: Any, right: Any) -> int:
    one, two = _as_text(left).translate(_UPPER).encode(), _as_text(right).translate(_UPPER).encode()
    return (one > two) - (one < two)


def _length(name: str, code: int, measure: Callable[[str], int]) -> Operator:
    return fixed(lambda value: measure(text(value, code, f"{name} requires a string argument")), 1)


def _substr_bytes(value: Any, start: Any, length: Any) -> str:
    data = _as_text(value).encode()
    for number, code, what in ((start, 16034, "starting index"), (length, 16035, "length")):
        if kind_of(number) is None:
            raise CommandFailure(code, f"$substrBytes: {what} must be a numeric type (is {kind_name(number)})")
    low, count = int(as_double(start)), int(as_double(length))
    if low < 0:
        raise CommandFailure(50752, "$substrBytes: starting index must be non-negative")
    high = len(data) if count < 0 else min(low + count, len(data))
    if low < len(data) and data[low] & 0xC0 == 0x80:
        raise CommandFailure(28656, "$substrBytes: Invalid range, starting index is a UTF-8 continuation byte.")
    if low < high < len(data) and data[high] & 0xC0 == 0x80:
        raise CommandFailure(28657, "$substrBytes: Invalid range, ending index is in the middle of a UTF-8 character.")
    return data[low:high].decode()


def _substr_cp(value: Any, start: Any, length: Any) -> str:
    given = _as_text(value)
    for number, code, what in ((start, 34450, "starting index"), (length, 34452, "length")):
        if kind_of(number) is None:
            raise CommandFailure(code, f"$substrCP: {what} must be a numeric type (is {kind_name(number)})")
    low = int32(start, 34451, "$substrCP: starting index cannot be represented as a 32-bit integral value")
    count = int32(length, 34453, "$substrCP: length cannot be represented as a 32-bit integral value")
    if count < 0:
        raise CommandFailure(34454, "$substrCP: length must be a nonnegative integer.")
    if low < 0:
        raise CommandFailure(34455, "$substrCP: starting index must be a nonnegative integer.")
    return given[low : low + count]


def _split(value: Any, separator: Any) -> Any:
    if nullish(value) or nullish(separator):
        return None
    given = text(value, 40085, "$split requires an expression that evaluates to a string as a first argument")
    by = text(separator, 40086, "$split requires an expression that evaluates to a string as a second argument")
    if not by:
        raise CommandFailure(40087, "$split requires a non-empty separator")
    return list(given.split(by))


def _trimming(name: str, trim: Callable[[str, str], str]) -> Operator:
    def call(input: Any, chars: Any = _SPACE) -> Any:
        if nullish(input):
            return None
        given = text(input, 50699, f"{name} requires its input to be a string")
        return None if nullish(chars) else trim(given, text(chars, 50700, f"{name} requires 'chars' to be a string"))

    return by_name(call, _TRIM)


def _index_of(name: str, first: int, second: int, units: Callable[[str], Any]) -> Operator:
    def call(value: Any, token: Any, start: Any = 0, end: Any = MISSING) -> Any:
        if nullish(value):
            return None
        given = units(text(value, first, f"{name} requires a string as the first argument"))
        wanted = units(text(token, second, f"{name} requires a string as the second argument"))
        low = _index(name, start)
        high = len(given) if end is MISSING else min(_index(name, end), len(given))
        return given.find(wanted, low, high) if low <= high else -1

    return between(call, 2, 4)


def _index(name: str, value: Any) -> int:
    number = int32(present(value), 40096, f"{name} requires an integral index")
    if number < 0:
        raise CommandFailure(40097, f"{name} requires a nonnegative index, found: {number}")
    return number


def _replacing(name: str, count: int) -> Operator:
    def call(input: Any, find: Any, replacement: Any) -> Any:
        given = ((input, 51746, "input"), (find, 51745, "find"), (replacement, 51744, "replacement"))
        for value, code, what in given:
            if not nullish(value):
                text(value, code, f"{name} requires that '{what}' be a string")
        if nullish(input) or nullish(find) or nullish(replacement):
            return None
        found = input.count(find) if count < 0 else 1
        _check_length(len(input) + found * max(0, len(replacement) - len(find)))
        return str(input).replace(find, replacement, count)

    return by_name(call, _REPLACE)


STRINGS: Final[Operators] = {
    "$concat": variadic(_concat),
    "$toLower": fixed(lambda value: _as_text(value).translate(_LOWER), 1),
    "$toUpper": fixed(lambda value: _as_text(value).translate(_UPPER), 1),
    "$strcasecmp": fixed(_strcasecmp, 2),
    "$strLenBytes": _length("$strLenBytes", 34473, lambda value: len(value.encode())),
    "$strLenCP": _length("$strLenCP", 34471, len),
    "$substr": fixed(_substr_bytes, 3),
    "$substrBytes": fixed(_substr_bytes, 3),
    "$substrCP": fixed(_substr_cp, 3),
    "$split": fixed(_split, 2),
    "$trim": _trimming("$trim", str.strip),
    "$ltrim": _trimming("$ltrim", str.lstrip),
    "$rtrim": _trimming("$rtrim", str.rstrip),
    "$indexOfBytes": _index_of("$indexOfBytes", 40091, 40092, str.encode),
    "$indexOfCP": _index_of("$indexOfCP", 40093, 40094, str),
    "$replaceOne": _replacing("$replaceOne", 1),
    "$replaceAll": _replacing("$replaceAll", -1),
}
