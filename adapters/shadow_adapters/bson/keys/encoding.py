"""From a value to its key, one function for each type."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from shadow_adapters.bson.keys.tags import (
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

NAN: Final = bytes((TAG_NUMBER,)) + bytes(9)
"""The key of NaN: below minus infinity, as MongoDB sorts it."""

SIGN: Final = 1 << 63
"""What is added to a signed 64-bit number to make it sort as bytes."""
EXPONENT_BIAS: Final = 0x8000
OLD_BINARY: Final = 2
"""The binary subtype that carries its length a second time, inside, where MongoDB counts it."""
FLAGS: Final = ((re.I, "i"), (re.L, "l"), (re.M, "m"), (re.S, "s"), (re.U, "u"), (re.X, "x"))
"""Python's regex flags and BSON's option letters."""

_EXACT_INT: Final = 1 << 53
_DOUBLE: Final = struct.Struct(">d")
_UINT64: Final = struct.Struct(">Q")
_UINT32: Final = struct.Struct(">I")
_TWO_UINT32: Final = struct.Struct(">II")
_OLD_BINARY_LENGTH: Final = struct.Struct("<i")
_COMPLEMENT: Final = bytes(255 - byte for byte in range(256))


def encode(value: Any) -> bytes:
    """The byte key of any BSON value. Raises `bson.errors.InvalidDocument` for what BSON cannot hold."""
    encoder = ENCODERS.get(type(value))
    return encoder(value) if encoder is not None else _encoder_of_subclass(value)(value)


def invert(key: bytes) -> bytes:
    """The descending form of a key: bytes complemented. Its own inverse."""
    return key.translate(_COMPLEMENT)


def _flip(number: float) -> bytes:
    """IEEE-754 bytes that sort as numbers do: the sign bit flipped, of a negative number all bits. Not for -0.0."""
    # The bytes of the negated number are those with the sign bit flipped
    return _DOUBLE.pack(-number) if number >= 0 else _DOUBLE.pack(number).translate(_COMPLEMENT)


_NUMBER: Final = bytes((TAG_NUMBER,))


def _encode_int(value: int) -> bytes:
    if -_EXACT_INT <= value <= _EXACT_INT:
        return _NUMBER + _flip(float(value)) + b"\x00"
    floor = float(value)
    if floor == value:
        return _NUMBER + _flip(floor) + b"\x00"
    return _encode_between(math.nextafter(floor, -math.inf) if floor > value else floor, Decimal(value))


def _encode_float(value: float) -> bytes:
    if value != value:
        return NAN
    return _NUMBER + _flip(value + 0.0) + b"\x00"  # -0.0 + 0.0 is 0.0


def _encode_decimal(value: Decimal128) -> bytes:
    number = value.to_decimal()
    if number.is_nan():
        return NAN
    floor = float(number)
    exact = Decimal(floor)
    if exact == number:
        return _encode_float(floor)
    return _encode_between(math.nextafter(floor, -math.inf) if exact > number else floor, number)


def _encode_between(floor: float, number: Decimal) -> bytes:
    """A number that is no double: its floor, then sign-adjusted exponent and digits without trailing zeros."""
    _, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    magnitude = int(exponent) + len(text)
    rest = struct.pack(">H", magnitude + EXPONENT_BIAS) + text.rstrip("0").encode() + b"\x00"
    return _NUMBER + _flip(floor + 0.0) + b"\x01" + (invert(rest) if number < 0 else rest)


_STRING: Final = bytes((TAG_STRING,))


def _encode_string(value: str) -> bytes:
    raw = value.encode()
    if b"\x00" in raw:
        raw = raw.replace(b"\x00", b"\x00\xff")
    return _STRING + raw + b"\x00"


def _text(value: str) -> bytes:
    return _encode_string(value)[1:]


def _name(value: str) -> bytes:
    """A field's name, which BSON ends with a zero byte too: nothing to escape, and any byte may follow it."""
    raw = value.encode()
    if b"\x00" in raw:
        raise InvalidDocument("a field's name must not contain a zero byte")
    return raw + b"\x00"


def _encode_object(value: Mapping[str, Any]) -> bytes:
    parts = [bytes((TAG_OBJECT,))]
    for name, field in value.items():
        key = encode(field)  # MongoDB compares the field's type, then its name, then its value
        parts += key[:1], _name(name), key[1:]
    parts.append(b"\x00")
    return b"".join(parts)


def _encode_array(value: Sequence[Any]) -> bytes:
    return b"%c%b\x00" % (TAG_ARRAY, b"".join(map(encode, value)))


def _encode_bytes(value: bytes) -> bytes:
    subtype = value.subtype if isinstance(value, Binary) else 0
    raw = _OLD_BINARY_LENGTH.pack(len(value)) + value if subtype == OLD_BINARY else bytes(value)
    return b"%c%b%c%b" % (TAG_BINARY, _UINT32.pack(len(raw)), subtype, raw)


_OBJECT_ID: Final = bytes((TAG_OBJECT_ID,))


def _encode_object_id(value: ObjectId) -> bytes:
    return _OBJECT_ID + value.binary


def _encode_date(value: DatetimeMS) -> bytes:
    return b"%c%b" % (TAG_DATE, _UINT64.pack(int(value) + SIGN))


def _encode_timestamp(value: Timestamp) -> bytes:
    return b"%c%b" % (TAG_TIMESTAMP, _TWO_UINT32.pack(value.time, value.inc))


def regex_flags(value: Regex[Any]) -> str:
    """A regex's options as BSON writes them: letters in alphabetical order."""
    return "".join(letter for flag, letter in FLAGS if value.flags & flag)


def regex_source(value: Regex[Any]) -> str:
    """A regex's pattern as text."""
    pattern = value.pattern
    return pattern.decode() if isinstance(pattern, bytes) else str(pattern)


def _encode_regex(value: Regex[Any]) -> bytes:
    return b"%c%b%b" % (TAG_REGEX, _text(regex_source(value)), _text(regex_flags(value)))


def _encode_code(value: Code) -> bytes:
    if value.scope is None:
        return b"%c%b" % (TAG_CODE, _text(str(value)))
    return b"%c%b%b" % (TAG_CODE_WITH_SCOPE, _text(str(value)), _encode_object(value.scope)[1:])


ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    ObjectId: _encode_object_id,
    str: _encode_string,
    int: _encode_int,
    Int64: _encode_int,
    float: _encode_float,
    bool: lambda value: b"%c%c" % (TAG_BOOL, value),
    type(None): lambda _: b"%c" % TAG_NULL,
    dict: _encode_object,
    list: _encode_array,
    Decimal128: _encode_decimal,
    DatetimeMS: _encode_date,
    datetime: lambda value: _encode_date(DatetimeMS(value)),
    bytes: _encode_bytes,
    Binary: _encode_bytes,
    Timestamp: _encode_timestamp,
    Regex: _encode_regex,
    re.Pattern: lambda value: _encode_regex(Regex.from_native(value)),
    Code: _encode_code,
    DBRef: lambda value: _encode_object(value.as_doc()),
    MinKey: lambda _: b"%c" % TAG_MIN_KEY,
    MaxKey: lambda _: b"%c" % TAG_MAX_KEY,
    tuple: _encode_array,
}
_BASES: Final = (Code, Binary, datetime, str, bytes, bool, int, float, Mapping, list, tuple)
"""What a value of a subclass is encoded as; the more special first."""


def _encoder_of_subclass(value: Any) -> Callable[[Any], bytes]:
    for base in _BASES:
        if isinstance(value, base):
            return _encode_object if base is Mapping else ENCODERS[base]
    raise InvalidDocument(f"cannot encode a value of type {type(value).__name__} as BSON")
