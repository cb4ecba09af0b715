"""From a key back to a value, by tag: each function takes the position of the payload and returns the one after it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Final

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from shadow_adapters.bson.keys.encoding import EXPONENT_BIAS, FLAGS, OLD_BINARY, SIGN, invert
from shadow_adapters.bson.keys.tags import (
    END,
    TAG_ARRAY,
    TAG_BINARY,
    TAG_BOOL,
    TAG_CODE,
    TAG_CODE_WITH_SCOPE,
    TAG_DATE,
    TAG_MAX_KEY,
    TAG_MIN_KEY,
    TAG_NULL,
    TAG_NUMBER,
    TAG_OBJECT,
    TAG_OBJECT_ID,
    TAG_REGEX,
    TAG_STRING,
    TAG_TIMESTAMP,
)

_ALL: Final = (1 << 64) - 1
_DOUBLE: Final = struct.Struct(">d")
_UINT64: Final = struct.Struct(">Q")
_UINT32: Final = struct.Struct(">I")
_TWO_UINT32: Final = struct.Struct(">II")


def decode(key: bytes) -> Any:
    """A value equal (under BSON equality) to the one the key was made from. Raises `ValueError` for other bytes."""
    try:
        value, end = _decode(key[0], key, 1)
    except (IndexError, KeyError, struct.error, ValueError) as error:
        raise ValueError("not a byte key") from error
    if end != len(key):
        raise ValueError("not one byte key: bytes follow it")
    return value


def _decode(tag: int, key: bytes, at: int) -> tuple[Any, int]:
    return _DECODERS[tag](key, at)


def _decode_number(key: bytes, at: int) -> tuple[Any, int]:
    bits: int = _UINT64.unpack_from(key, at)[0]
    kind = key[at + 8]
    if bits == 0:
        return math.nan, at + 9
    if kind:
        return _decode_between(key, at + 9, negative=not bits & SIGN)
    number: float = _DOUBLE.unpack(_UINT64.pack(bits ^ (SIGN if bits & SIGN else _ALL)))[0]
    if number.is_integer() and -SIGN <= number < SIGN:
        return int(number), at + 9
    return number, at + 9


def _decode_between(key: bytes, at: int, *, negative: bool) -> tuple[Any, int]:
    end = key.index(b"\xff" if negative else b"\x00", at + 2) + 1
    rest = invert(key[at:end]) if negative else key[at:end]
    digits = rest[2:-1].decode()
    exponent = int.from_bytes(rest[:2], "big") - EXPONENT_BIAS - len(digits)
    if exponent >= 0 and exponent + len(digits) <= 19:
        whole = int(digits) * 10**exponent * (-1 if negative else 1)
        if -SIGN <= whole < SIGN:
            return whole, end
    return Decimal128(f"{'-' if negative else ''}{digits}E{exponent}"), end


def _decode_text(key: bytes, at: int) -> tuple[str, int]:
    end = key.index(b"\x00", at)
    while key[end + 1 : end + 2] == b"\xff":
        end = key.index(b"\x00", end + 2)
    return key[at:end].replace(b"\x00\xff", b"\x00").decode(), end + 1


def _decode_object(key: bytes, at: int) -> tuple[dict[str, Any], int]:
    value: dict[str, Any] = {}
    while key[at] != END:
        end = key.index(b"\x00", at + 1)
        value[key[at + 1 : end].decode()], at = _decode(key[at], key, end + 1)
    return value, at + 1


def _decode_array(key: bytes, at: int) -> tuple[list[Any], int]:
    value: list[Any] = []
    while key[at] != END:
        item, at = _decode(key[at], key, at + 1)
        value.append(item)
    return value, at + 1


def _decode_binary(key: bytes, at: int) -> tuple[bytes, int]:
    end = at + 5 + int(_UINT32.unpack_from(key, at)[0])
    subtype = key[at + 4]
    if end > len(key):
        raise ValueError("cut short")
    raw = key[at + 5 : end]
    return (raw if subtype == 0 else Binary(raw[4:] if subtype == OLD_BINARY else raw, subtype)), end


def _decode_timestamp(key: bytes, at: int) -> tuple[Timestamp, int]:
    return Timestamp(*_TWO_UINT32.unpack_from(key, at)), at + 8


def _decode_regex(key: bytes, at: int) -> tuple[Regex[str], int]:
    pattern, at = _decode_text(key, at)
    flags, at = _decode_text(key, at)
    return Regex(pattern, sum(flag for flag, letter in FLAGS if letter in flags)), at


def _decode_code(key: bytes, at: int) -> tuple[Code, int]:
    text, at = _decode_text(key, at)
    return Code(text), at


def _decode_code_with_scope(key: bytes, at: int) -> tuple[Code, int]:
    text, at = _decode_text(key, at)
    scope, at = _decode_object(key, at)
    return Code(text, scope), at


_DECODERS: Final[dict[int, Callable[[bytes, int], tuple[Any, int]]]] = {
    TAG_MIN_KEY: lambda _, at: (MinKey(), at),
    TAG_NULL: lambda _, at: (None, at),
    TAG_NUMBER: _decode_number,
    TAG_STRING: _decode_text,
    TAG_OBJECT: _decode_object,
    TAG_ARRAY: _decode_array,
    TAG_BINARY: _decode_binary,
    TAG_OBJECT_ID: lambda key, at: (ObjectId(key[at : at + 12]), at + 12),
    TAG_BOOL: lambda key, at: (key[at] == 1, at + 1),
    TAG_DATE: lambda key, at: (DatetimeMS(_UINT64.unpack_from(key, at)[0] - SIGN), at + 8),
    TAG_TIMESTAMP: _decode_timestamp,
    TAG_REGEX: _decode_regex,
    TAG_CODE: _decode_code,
    TAG_CODE_WITH_SCOPE: _decode_code_with_scope,
    TAG_MAX_KEY: lambda _, at: (MaxKey(), at),
}
