"""Column types of real tables: what each can hold of a BSON value, and what comes back.

A codec's `put` gives the column's value and whether it comes back identical. Where it does not, the value goes to
``_rest`` as a whole; the column then holds the nearest thing that SQL can use (5 for 5.0), or NULL. Nothing is
checked that PostgreSQL checks itself: a text that is too long for its column is PostgreSQL's to refuse.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from bson.binary import UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.postgres.layouts import embedding, jsonb

Put = tuple[Any, bool]
_NOTHING: Put = (None, False)
_INT32 = 1 << 31
_EXACT_DOUBLE = 1 << 53


class Codec(ABC):
    """Values of one column type. ``type`` is what they are sent as, ``cast`` what SQL makes of it."""

    type: str
    cast: str = ""

    @abstractmethod
    def put(self, value: Any) -> Put:
        """The column's value (None: NULL), and whether `get` gives the BSON value back identical."""

    @abstractmethod
    def get(self, held: Any) -> Any:
        """The BSON value of a column's value that is not NULL."""

    def send(self, held: Any) -> Any:
        """The column's value as it is sent."""
        return held

    def same(self, one: Any, other: Any) -> bool:
        """Whether two values that are not NULL are one to the column."""
        return bool(one == other)


class TextCodec(Codec):
    type = "text"

    def put(self, value: Any) -> Put:
        return (value, True) if type(value) is str and "\0" not in value else _NOTHING

    def get(self, held: Any) -> Any:
        return held


class UuidCodec(Codec):
    type = "uuid"

    def put(self, value: Any) -> Put:
        if type(value) is ObjectId:
            return embedding.to_uuid(value), True
        if type(value) is Binary and value.subtype == UUID_SUBTYPE and len(value) == 16:
            uuid = UUID(bytes=bytes(value))
            return (uuid, True) if embedding.from_uuid(uuid) is None else _NOTHING
        return _NOTHING

    def get(self, held: Any) -> Any:
        id = embedding.from_uuid(held)
        return Binary(held.bytes, UUID_SUBTYPE) if id is None else id


class IntegerCodec(Codec):
    type = "bigint"

    def __init__(self, bits: int) -> None:
        self.limit = 1 << (bits - 1)
        self.cast = {16: "::smallint", 32: "::integer", 64: ""}[bits]

    def put(self, value: Any) -> Put:
        kind = type(value)
        if kind is int or kind is Int64:
            exact = kind is int or not -_INT32 <= value < _INT32
            return (int(value), exact) if -self.limit <= value < self.limit else _NOTHING
        number = value.to_decimal() if kind is Decimal128 else value if kind is float else None
        if number is None or not math.isfinite(number) or not -self.limit <= number < self.limit:
            return _NOTHING
        return (int(number), False) if number == int(number) else _NOTHING

    def get(self, held: Any) -> Any:
        return held if -_INT32 <= held < _INT32 else Int64(held)


class DoubleCodec(Codec):
    type = "double precision"

    def put(self, value: Any) -> Put:
        kind = type(value)
        if kind is float:
            return value, value == value
        if (kind is int or kind is Int64) and -_EXACT_DOUBLE <= value <= _EXACT_DOUBLE:
            return float(value), False
        return _NOTHING

    def get(self, held: Any) -> Any:
        return held

    def same(self, one: Any, other: Any) -> bool:
        return bool(one == other or (one != one and other != other))


class NumericCodec(Codec):
    type = "numeric"

    def __init__(self, scale: int | None) -> None:
        self._scale = scale

    def put(self, value: Any) -> Put:
        kind = type(value)
        if kind is int or kind is Int64:
            return Decimal(int(value)), False
        number = value.to_decimal() if kind is Decimal128 else Decimal(repr(value)) if kind is float else None
        if number is None or not number.is_finite():
            return _NOTHING
        places = -int(number.as_tuple().exponent)
        if self._scale is not None and places > self._scale:
            return _NOTHING
        kept = places >= 0 and not (number.is_zero() and number.is_signed()) and self._scale in (None, places)
        return number, kind is Decimal128 and kept and Decimal128(number).bid == value.bid

    def get(self, held: Any) -> Any:
        try:
            return Decimal128(held)
        except ArithmeticError:  # more digits than Decimal128 has
            return float(held)


class BooleanCodec(Codec):
    type = "boolean"

    def put(self, value: Any) -> Put:
        return (value, True) if type(value) is bool else _NOTHING

    def get(self, held: Any) -> Any:
        return held


class TimestampCodec(Codec):
    """``timestamp`` means UTC. Microseconds that SQL wrote are cut, as MongoDB has none."""

    _MIN: ClassVar = datetime(1, 1, 1)
    _MAX: ClassVar = datetime(9999, 12, 31, 23, 59, 59, 999000)
    _EPOCH: ClassVar = datetime(1970, 1, 1)
    _MS: ClassVar = timedelta(milliseconds=1)

    def __init__(self, *, zoned: bool) -> None:
        self.type = "timestamptz" if zoned else "timestamp"
        self._zone = UTC if zoned else None
        self._least, self.greatest = ((d - self._EPOCH) // self._MS for d in (self._MIN, self._MAX))

    def put(self, value: Any) -> Put:
        if type(value) is not DatetimeMS or not self._least <= int(value) <= self.greatest:
            return _NOTHING
        return (self._EPOCH + timedelta(milliseconds=int(value))).replace(tzinfo=self._zone), True

    def get(self, held: Any) -> Any:
        return DatetimeMS((held.replace(tzinfo=None) - self._EPOCH) // self._MS)

    def same(self, one: Any, other: Any) -> bool:
        return bool(self.get(one) == self.get(other))


class JsonbCodec(Codec):
    type = "text"
    cast = "::jsonb"

    def put(self, value: Any) -> Put:
        if jsonb.is_exact(value):
            return jsonb.dump(value), True
        return jsonb.likeness(value), False

    def get(self, held: Any) -> Any:
        return jsonb.load(held)

    def same(self, one: Any, other: Any) -> bool:
        return jsonb.same(one, other)


class TextArrayCodec(Codec):
    type = "text"

    def __init__(self, array_type: str) -> None:
        self.cast = f"::{array_type}"

    def put(self, value: Any) -> Put:
        if type(value) is list and all(type(element) is str and "\0" not in element for element in value):
            return value, True
        return _NOTHING

    def get(self, held: Any) -> Any:
        return list(held)

    def send(self, held: Any) -> Any:
        if held is None:
            return None
        return "{" + ",".join('"' + e.replace("\\", "\\\\").replace('"', '\\"') + '"' for e in held) + "}"


class BytesCodec(Codec):
    type = "bytea"

    def put(self, value: Any) -> Put:
        return (value, True) if type(value) is bytes else _NOTHING

    def get(self, held: Any) -> Any:
        return bytes(held)


_NUMERIC = re.compile(r"numeric(?:\(\d+,(-?\d+)\))?$")
_TEXT = re.compile(r"(text|character varying)(\(\d+\))?$")
_TEXTS = re.compile(r"(text|character varying)(\(\d+\))?\[\]$")
_PRECISE = re.compile(r"^timestamp\([3-6]\)")

_CODECS: dict[str, Codec] = {
    "uuid": UuidCodec(),
    "smallint": IntegerCodec(16),
    "integer": IntegerCodec(32),
    "bigint": IntegerCodec(64),
    "double precision": DoubleCodec(),
    "boolean": BooleanCodec(),
    "timestamp without time zone": TimestampCodec(zoned=False),
    "timestamp with time zone": TimestampCodec(zoned=True),
    "jsonb": JsonbCodec(),
    "bytea": BytesCodec(),
}


def codec_of(type: str) -> Codec | None:
    """The codec of a column type as ``format_type`` prints it; None for a type that is not served."""
    if _TEXT.match(type):
        return TextCodec()
    if _TEXTS.match(type):
        return TextArrayCodec(type)
    if numeric := _NUMERIC.match(type):
        return NumericCodec(int(numeric[1]) if numeric[1] else None)
    return _CODECS.get(_PRECISE.sub("timestamp", type))
