"""Order-preserving byte keys: comparing two keys as bytes is comparing two BSON values as MongoDB does.

A key is a tag byte (MongoDB's order of types), then a payload that delimits itself, so that keys can be concatenated
into a compound key. Equal values have equal keys whatever their type (1, 1.0, Int64(1), Decimal128("1.00")), and a key
decodes to a value equal to the one it was made from. The idea is MongoDB's KeyString; the bytes are our own, chosen so
that SQL can compute the simple ones: text is ``tag || utf8 || 00``, a bigint up to 2**53 is
``tag || flipped float8send || 00``, an ObjectId is ``tag || 12 bytes``.

Numbers are the flipped IEEE-754 bytes of the largest double that is not above the number. If the number is that double
one zero byte follows, else a one byte and the number's exact decimal form, which orders what shares the double.
"""

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

from shadow_adapters.failures import CommandFailure

END: Final = 0x00
"""Ends an object, an array and an escaped text; below every tag."""
TAG_MIN_KEY: Final = 10
TAG_UNDEFINED: Final = 15
"""No value's tag: an empty array sorts as undefined does."""
TAG_NULL: Final = 20
TAG_NUMBER: Final = 30
TAG_STRING: Final = 60
TAG_OBJECT: Final = 70
TAG_ARRAY: Final = 80
TAG_BINARY: Final = 90
TAG_OBJECT_ID: Final = 100
TAG_BOOL: Final = 110
TAG_DATE: Final = 120
TAG_TIMESTAMP: Final = 130
TAG_REGEX: Final = 140
TAG_CODE: Final = 160
TAG_CODE_WITH_SCOPE: Final = 170
TAG_MAX_KEY: Final = 240

NAN: Final = bytes((TAG_NUMBER,)) + bytes(9)
"""The key of NaN: below minus infinity, as MongoDB sorts it."""

_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_EXACT_INT: Final = 1 << 53
_EXPONENT_BIAS: Final = 0x8000
_DOUBLE: Final = struct.Struct(">d")
_UINT64: Final = struct.Struct(">Q")
_UINT32: Final = struct.Struct(">I")
_TWO_UINT32: Final = struct.Struct(">II")
_OLD_BINARY_LENGTH: Final = struct.Struct("<i")
_OLD_BINARY: Final = 2
_COMPLEMENT: Final = bytes(255 - byte for byte in range(256))
_FLAGS: Final = ((re.I, "i"), (re.L, "l"), (re.M, "m"), (re.S, "s"), (re.U, "u"), (re.X, "x"))


def encode(value: Any) -> bytes:
    """The byte key of any BSON value. Raises `bson.errors.InvalidDocument` for what BSON cannot hold."""
    encoder = _ENCODERS.get(type(value))
    return encoder(value) if encoder is not None else _encoder_of_subclass(value)(value)


def key_of(_id: Any) -> bytes:
    """The byte key of a document's ``_id``.

    Raises `CommandFailure` 2 for an array or a regex, which MongoDB refuses as ``_id``.
    """
    encoder = _PLAIN_IDS.get(type(_id))
    if encoder is not None:
        return encoder(_id)
    key = encode(_id)
    if key[0] == TAG_ARRAY:
        raise CommandFailure(2, "can't use an array for _id")
    if key[0] == TAG_REGEX:
        raise CommandFailure(2, "can't use a regex for _id")
    return key


def invert(key: bytes) -> bytes:
    """The descending form of a key: bytes complemented. Its own inverse."""
    return key.translate(_COMPLEMENT)


def decode(key: bytes) -> Any:
    """A value equal (under BSON equality) to the one the key was made from. Raises `ValueError` for other bytes."""
    try:
        value, end = _decode(key[0], key, 1)
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise ValueError("not a byte key") from error
    if end != len(key):
        raise ValueError("not one byte key: bytes follow it")
    return value


# -- encoding, one function per type


def _flip(number: float) -> bytes:
    bits: int = _UINT64.unpack(_DOUBLE.pack(number))[0]
    return _UINT64.pack(bits ^ (_ALL if bits & _SIGN else _SIGN))


_NUMBER: Final = bytes((TAG_NUMBER,))


def _encode_int(value: int) -> bytes:
    if -_EXACT_INT <= value <= _EXACT_INT:
        return _NUMBER + _flip(value) + b"\x00"
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
    rest = struct.pack(">H", magnitude + _EXPONENT_BIAS) + text.rstrip("0").encode() + b"\x00"
    return _NUMBER + _flip(floor) + b"\x01" + (invert(rest) if number < 0 else rest)


_STRING: Final = bytes((TAG_STRING,))


def _encode_string(value: str) -> bytes:
    raw = value.encode()
    if b"\x00" in raw:
        raw = raw.replace(b"\x00", b"\x00\xff")
    return _STRING + raw + b"\x00"


def _text(value: str) -> bytes:
    return _encode_string(value)[1:]


def _encode_object(value: Mapping[str, Any]) -> bytes:
    parts = [bytes((TAG_OBJECT,))]
    for name, field in value.items():
        key = encode(field)  # MongoDB compares the field's type, then its name, then its value
        parts += key[:1], _text(name), key[1:]
    parts.append(b"\x00")
    return b"".join(parts)


def _encode_array(value: Sequence[Any]) -> bytes:
    return b"%c%b\x00" % (TAG_ARRAY, b"".join(map(encode, value)))


def _encode_bytes(value: bytes) -> bytes:
    subtype = value.subtype if isinstance(value, Binary) else 0
    # The old subtype carries its length a second time, inside, and MongoDB counts that
    raw = _OLD_BINARY_LENGTH.pack(len(value)) + value if subtype == _OLD_BINARY else bytes(value)
    return b"%c%b%c%b" % (TAG_BINARY, _UINT32.pack(len(raw)), subtype, raw)


_OBJECT_ID: Final = bytes((TAG_OBJECT_ID,))


def _encode_object_id(value: ObjectId) -> bytes:
    return _OBJECT_ID + value.binary


def _encode_date(value: DatetimeMS) -> bytes:
    return b"%c%b" % (TAG_DATE, _UINT64.pack(int(value) + _SIGN))


def _encode_timestamp(value: Timestamp) -> bytes:
    return b"%c%b" % (TAG_TIMESTAMP, _TWO_UINT32.pack(value.time, value.inc))


def regex_flags(value: Regex[Any]) -> str:
    """A regex's options as BSON writes them: letters in alphabetical order."""
    return "".join(letter for flag, letter in _FLAGS if value.flags & flag)


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


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
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
_PLAIN_IDS: Final = {kind: _ENCODERS[kind] for kind in (ObjectId, str, int, Int64)}
_BASES: Final = (Code, Binary, datetime, str, bytes, bool, int, float, Mapping, list, tuple)
"""What a value of a subclass is encoded as; the more special first."""


def _encoder_of_subclass(value: Any) -> Callable[[Any], bytes]:
    for base in _BASES:
        if isinstance(value, base):
            return _encode_object if base is Mapping else _ENCODERS[base]
    raise InvalidDocument(f"cannot encode a value of type {type(value).__name__} as BSON")


# -- decoding, by tag; each takes the key and the position of its payload, and returns the value and the position after


def _decode(tag: int, key: bytes, at: int) -> tuple[Any, int]:
    return _DECODERS[tag](key, at)


def _decode_number(key: bytes, at: int) -> tuple[Any, int]:
    bits: int = _UINT64.unpack_from(key, at)[0]
    kind = key[at + 8]
    if bits == 0:
        return math.nan, at + 9
    if kind:
        return _decode_between(key, at + 9, negative=not bits & _SIGN)
    number: float = _DOUBLE.unpack(_UINT64.pack(bits ^ (_SIGN if bits & _SIGN else _ALL)))[0]
    if number.is_integer() and -_SIGN <= number < _SIGN:
        return int(number), at + 9
    return number, at + 9


def _decode_between(key: bytes, at: int, *, negative: bool) -> tuple[Any, int]:
    end = key.index(b"\xff" if negative else b"\x00", at + 2) + 1
    rest = invert(key[at:end]) if negative else key[at:end]
    digits = rest[2:-1].decode()
    exponent = int.from_bytes(rest[:2], "big") - _EXPONENT_BIAS - len(digits)
    if exponent >= 0 and exponent + len(digits) <= 19:
        whole = int(digits) * 10**exponent * (-1 if negative else 1)
        if -_SIGN <= whole < _SIGN:
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
        name, start = _decode_text(key, at + 1)
        value[name], at = _decode(key[at], key, start)
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
        raise ValueError("not a byte key: cut short")
    raw = key[at + 5 : end]
    return (raw if subtype == 0 else Binary(raw[4:] if subtype == _OLD_BINARY else raw, subtype)), end


def _decode_timestamp(key: bytes, at: int) -> tuple[Timestamp, int]:
    return Timestamp(*_TWO_UINT32.unpack_from(key, at)), at + 8


def _decode_regex(key: bytes, at: int) -> tuple[Regex[str], int]:
    pattern, at = _decode_text(key, at)
    flags, at = _decode_text(key, at)
    return Regex(pattern, sum(flag for flag, letter in _FLAGS if letter in flags)), at


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
    TAG_DATE: lambda key, at: (DatetimeMS(_UINT64.unpack_from(key, at)[0] - _SIGN), at + 8),
    TAG_TIMESTAMP: _decode_timestamp,
    TAG_REGEX: _decode_regex,
    TAG_CODE: _decode_code,
    TAG_CODE_WITH_SCOPE: _decode_code_with_scope,
    TAG_MAX_KEY: lambda _, at: (MaxKey(), at),
}
