"""``$convert`` and its short forms, ``$type``, ``$isNumber``, and sizes of what is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.expression.arguments import Parameters, fixed
from shadow_adapters.bson.expression.compiler import Compiler, Operator, Operators
from shadow_adapters.bson.expression.node import Expression, Scope
from shadow_adapters.bson.expression.texts import (
    iso,
    number_text,
    parsed_date,
    parsed_decimal,
    parsed_double,
    parsed_integer,
)
from shadow_adapters.bson.expression.values import is_text, kind_name, nullish, truth
from shadow_adapters.bson.numbers import (
    CONTEXT,
    DECIMAL,
    DOUBLE,
    LONG,
    as_decimal,
    as_double,
    fits_int,
    fits_long,
    kind_of,
)
from shadow_adapters.bson.paths import as_document
from shadow_adapters.failures import CommandFailure

_FAILED: Final = 241  # ConversionFailure
_CONVERT: Final = Parameters({"input": 9, "to": 9}, ("onError", "onNull"), unknown=9, no_object=9)
_BY_NUMBER: Final = {
    1: "double",
    2: "string",
    7: "objectId",
    8: "bool",
    9: "date",
    16: "int",
    18: "long",
    19: "decimal",
}


def _failure(why: str) -> CommandFailure:
    return CommandFailure(_FAILED, f"{why} in $convert with no onError value")


def _unsupported(value: Any, to: str) -> CommandFailure:
    return _failure(f"Unsupported conversion from {kind_name(value)} to {to}")


def _unparsed(value: str, to: str) -> CommandFailure:
    return _failure(f"Failed to parse {to} '{value}'")


def _to_double(value: Any) -> float:
    if isinstance(value, bool | DatetimeMS):
        return float(int(value))
    if is_text(value):
        number = parsed_double(value)
        if number is None or (math.isinf(number) and "inf" not in value.lower()):
            raise _unparsed(value, "number")
        return number
    if kind_of(value) is None:
        raise _unsupported(value, "double")
    double = as_double(value)
    if math.isinf(double) and isinstance(value, Decimal128) and value.to_decimal().is_finite():
        raise _failure("Conversion would overflow target type")
    return double


def _whole(value: Any, to: str, fits: Callable[[int], bool]) -> int:
    """A value as an integer, cut where it has a fraction."""
    if isinstance(value, bool):
        return int(value)
    if is_text(value):
        number = parsed_integer(value)
        if number is None or not fits(number):
            raise _unparsed(value, "number")
        return number
    kind = kind_of(value)
    if kind is None:
        raise _unsupported(value, to)
    given = value.to_decimal() if kind == DECIMAL else value
    if not (given.is_finite() if kind == DECIMAL else math.isfinite(given)):
        raise _failure("Attempt to convert an infinity or NaN value to integer type")
    if not fits(int(given)):
        raise _failure("Conversion would overflow target type")
    return int(given)


def _to_int(value: Any) -> int:
    return _whole(value, "int", fits_int)


def _to_long(value: Any) -> Int64:
    return Int64(int(value)) if isinstance(value, DatetimeMS) else Int64(_whole(value, "long", fits_long))


def _to_decimal(value: Any) -> Decimal128:
    if isinstance(value, bool | DatetimeMS):
        return Decimal128(str(int(value)))
    if is_text(value):
        number = parsed_decimal(value)
        if number is None:
            raise _unparsed(value, "number")
        return number
    if kind_of(value) is None:
        raise _unsupported(value, "decimal")
    return value if isinstance(value, Decimal128) else Decimal128(CONTEXT.plus(as_decimal(value)))


def _to_string(value: Any) -> str:
    if is_text(value):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, DatetimeMS):
        return iso(value)
    if isinstance(value, ObjectId):
        return str(value)
    if kind_of(value) is None:
        raise _unsupported(value, "string")
    return number_text(value)


def _to_object_id(value: Any) -> ObjectId:
    if isinstance(value, ObjectId):
        return value
    if not is_text(value):
        raise _unsupported(value, "objectId")
    if len(value) != 24 or not ObjectId.is_valid(value):
        raise _unparsed(value, "objectId")
    return ObjectId(value)


def _to_date(value: Any) -> DatetimeMS:
    if isinstance(value, DatetimeMS):
        return value
    if isinstance(value, ObjectId):
        return DatetimeMS(int(value.generation_time.timestamp()) * 1000)
    if isinstance(value, Timestamp):
        return DatetimeMS(value.time * 1000)
    if is_text(value):
        date = parsed_date(value)
        if date is None:
            raise _unparsed(value, "date")
        return date
    if kind_of(value) in (LONG, DOUBLE, DECIMAL):
        return DatetimeMS(_whole(value, "date", fits_long))
    raise _unsupported(value, "date")


_TARGETS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "double": _to_double,
    "string": _to_string,
    "objectId": _to_object_id,
    "bool": truth,
    "date": _to_date,
    "int": _to_int,
    "long": _to_long,
    "decimal": _to_decimal,
}


def _short(to: str) -> Operator:
    """``$toInt`` and the like: null stays null."""
    target = _TARGETS[to]
    return fixed(lambda value: None if nullish(value) else target(value), 1)


def _convert(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _CONVERT.compiled(name, argument, compiler)
    runs = {parameter: expression.run for parameter, expression in fields.items()}

    def run(scope: Scope) -> Any:
        value, to = runs["input"](scope), runs["to"](scope)
        if nullish(value):
            return runs["onNull"](scope) if "onNull" in runs else None
        if nullish(to):
            return None
        target = _target(to)
        try:
            return target(value)
        except CommandFailure as failure:
            if failure.code != _FAILED or "onError" not in runs:
                raise
            return runs["onError"](scope)

    return Expression(run)


def _target(to: Any) -> Callable[[Any], Any]:
    if not is_text(to) and kind_of(to) is None:
        raise CommandFailure(9, f"$convert's 'to' argument must be a string or number, but is {kind_name(to)}")
    name = to if is_text(to) else _BY_NUMBER.get(int(as_double(to)), "")
    if name not in _TARGETS:
        raise CommandFailure(2, f"Unknown type name or number: {to}")
    return _TARGETS[name]


def _bson_size(value: Any) -> Any:
    if nullish(value):
        return None
    document = as_document(value)
    if document is None:
        raise CommandFailure(31393, f"$bsonSize requires a document input, found: {kind_name(value)}")
    return len(encode(document))


def _binary_size(value: Any) -> Any:
    if nullish(value):
        return None
    if is_text(value):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    raise CommandFailure(51276, f"$binarySize requires a string or BinData argument, found: {kind_name(value)}")


CONVERSIONS: Final[Operators] = {
    "$convert": _convert,
    "$toDouble": _short("double"),
    "$toString": _short("string"),
    "$toObjectId": _short("objectId"),
    "$toBool": _short("bool"),
    "$toDate": _short("date"),
    "$toInt": _short("int"),
    "$toLong": _short("long"),
    "$toDecimal": _short("decimal"),
    "$type": fixed(kind_name, 1),
    "$isNumber": fixed(lambda value: kind_of(value) is not None, 1),
    "$bsonSize": fixed(_bson_size, 1),
    "$binarySize": fixed(_binary_size, 1),
}
