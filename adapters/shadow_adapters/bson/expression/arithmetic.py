"""``$add $subtract $multiply $divide $mod`` and the functions of one number.

The result has the widest kind among the operands; integers that overflow become longs, and longs doubles. Null or a
missing operand gives null.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from shadow_adapters.bson.expression.arguments import fixed, variadic
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.bson.numbers import (
    CONTEXT,
    DECIMAL,
    DOUBLE,
    INT,
    LONG,
    Number,
    as_decimal,
    as_double,
    decimal128,
    fits_long,
    integer,
    kind_of,
)
from shadow_adapters.failures import CommandFailure

_TYPE_MISMATCH: Final = 14
_BAD_VALUE: Final = 2


def _is_date(value: Any) -> bool:
    return isinstance(value, DatetimeMS)


def _plus(left: Number, right: Number) -> Number:
    kind = max(kind_of(left) or 0, kind_of(right) or 0)
    if kind == DECIMAL:
        return decimal128(CONTEXT.add(as_decimal(left), as_decimal(right)))
    if kind == DOUBLE:
        return float(left) + float(right)  # type: ignore[arg-type]
    return integer(int(left) + int(right), kind)  # type: ignore[arg-type]


def _narrowed(value: Number, kinds: list[int]) -> Number:
    """A sum or product of ints that went through a long: an int again where it fits one."""
    return integer(int(value), INT) if isinstance(value, Int64) and max(kinds) == INT else value


def add(*values: Any) -> Any:
    """``$add``: the sum of numbers, or a date and milliseconds. Raises `CommandFailure` 14, 16612."""
    total: Number = 0
    kinds: list[int] = [INT]
    dated = False
    for value in values:
        if nullish(value):
            return None
        if _is_date(value):
            if dated:
                raise CommandFailure(16612, "only one date allowed in an $add expression")
            dated, value = True, Int64(int(value))
        kind = kind_of(value)
        if kind is None:
            raise CommandFailure(_TYPE_MISMATCH, f"$add only supports numeric or date types, not {kind_name(value)}")
        kinds.append(kind)
        total = _plus(total, value)
    return _date(total) if dated else _narrowed(total, kinds)


def _date(milliseconds: Number) -> DatetimeMS:
    number = as_decimal(milliseconds) if kind_of(milliseconds) == DECIMAL else milliseconds
    if not math.isfinite(number) or not fits_long(int(number)):  # type: ignore[arg-type]
        raise CommandFailure(_BAD_VALUE, "date overflow")
    return DatetimeMS(round(number))  # type: ignore[arg-type]


def subtract(left: Any, right: Any) -> Any:
    """``$subtract``; of two dates the milliseconds between them. Raises `CommandFailure` 14."""
    if nullish(left) or nullish(right):
        return None
    if _is_date(left) and _is_date(right):
        return integer(int(left) - int(right), LONG)
    kinds = kind_of(left), kind_of(right)
    if kinds[1] is None or (kinds[0] is None and not _is_date(left)):
        raise CommandFailure(_TYPE_MISMATCH, f"can't $subtract {kind_name(right)} from {kind_name(left)}")
    if kinds[0] is None:
        return _date(_minus(Int64(int(left)), right, max(LONG, kinds[1])))
    return _minus(left, right, max(kinds[0], kinds[1]))


def _minus(left: Number, right: Number, kind: int) -> Number:
    if kind == DECIMAL:
        return decimal128(CONTEXT.subtract(as_decimal(left), as_decimal(right)))
    if kind == DOUBLE:
        return float(left) - float(right)  # type: ignore[arg-type]
    return integer(int(left) - int(right), kind)  # type: ignore[arg-type]


def multiply(*values: Any) -> Any:
    """``$multiply``. Raises `CommandFailure` 14."""
    total: Number = 1
    kinds: list[int] = [INT]
    for value in values:
        if nullish(value):
            return None
        kind = kind_of(value)
        if kind is None:
            raise CommandFailure(_TYPE_MISMATCH, f"$multiply only supports numeric types, not {kind_name(value)}")
        kinds.append(kind)
        total = _times(total, value)
    return _narrowed(total, kinds)


def _times(left: Number, right: Number) -> Number:
    kind = max(kind_of(left) or 0, kind_of(right) or 0)
    if kind == DECIMAL:
        return decimal128(CONTEXT.multiply(as_decimal(left), as_decimal(right)))
    if kind == DOUBLE:
        return float(left) * float(right)  # type: ignore[arg-type]
    return integer(int(left) * int(right), kind)  # type: ignore[arg-type]


def divide(left: Any, right: Any) -> Any:
    """``$divide``: a double or a decimal. Raises `CommandFailure` 14, and 2 for a divisor of zero."""
    if nullish(left) or nullish(right):
        return None
    kinds = kind_of(left), kind_of(right)
    if kinds[0] is None or kinds[1] is None:
        raise CommandFailure(
            _TYPE_MISMATCH, f"$divide only supports numeric types, not {kind_name(left)} and {kind_name(right)}"
        )
    if as_double(right) == 0 and as_decimal(right) == 0:
        raise CommandFailure(_BAD_VALUE, "can't $divide by zero")
    if DECIMAL in kinds:
        return decimal128(CONTEXT.divide(as_decimal(left), as_decimal(right)))
    return float(left) / float(right)


def _mod(left: Any, right: Any) -> Any:
    if nullish(left) or nullish(right):
        return None
    kinds = kind_of(left), kind_of(right)
    if kinds[0] is None or kinds[1] is None:
        raise CommandFailure(16611, f"$mod only supports numeric types, not {kind_name(left)} and {kind_name(right)}")
    if DECIMAL in kinds:
        if as_decimal(right) == 0:
            raise CommandFailure(5733415, "can't $mod by zero")
        return decimal128(CONTEXT.remainder(as_decimal(left), as_decimal(right)))
    if right == 0:
        raise CommandFailure(16610, "can't $mod by zero")
    if kinds[0] == DOUBLE or (kinds[1] == DOUBLE and not float(right).is_integer()):
        return math.fmod(left, right) if math.isfinite(left) else math.nan
    remainder = abs(int(left)) % abs(int(right))
    return integer(-remainder if left < 0 else remainder, LONG if LONG in kinds else INT)


def numeric(name: str, function: Callable[[Number, int], Any]) -> Operator:
    """The operator of a function of one number and its kind; of null and missing it gives null."""

    def call(value: Any) -> Any:
        if nullish(value):
            return None
        kind = kind_of(value)
        if kind is None:
            raise CommandFailure(28765, f"{name} only supports numeric types, not {kind_name(value)}")
        return function(value, kind)

    return fixed(call, 1)


def _abs(value: Any, kind: int) -> Any:
    if kind == DECIMAL:
        return decimal128(value.to_decimal().copy_abs())
    if kind == DOUBLE:
        return abs(value)
    if int(value) == -(1 << 63):
        raise CommandFailure(28680, "can't take $abs of long long min")
    return integer(abs(int(value)), kind)


def _whole(rounding: str, of_double: Callable[[float], int]) -> Callable[[Any, int], Any]:
    def function(value: Any, kind: int) -> Any:
        if kind == DECIMAL:
            return decimal128(value.to_decimal().to_integral_value(rounding=rounding))
        if kind == DOUBLE:
            return math.copysign(float(of_double(value)), value) if math.isfinite(value) else value
        return value

    return function


ARITHMETIC: Final[Operators] = {
    "$add": variadic(add),
    "$subtract": fixed(subtract, 2),
    "$multiply": variadic(multiply),
    "$divide": fixed(divide, 2),
    "$mod": fixed(_mod, 2),
    "$abs": numeric("$abs", _abs),
    "$ceil": numeric("$ceil", _whole(decimal.ROUND_CEILING, math.ceil)),
    "$floor": numeric("$floor", _whole(decimal.ROUND_FLOOR, math.floor)),
}
