"""BSON's four kinds of numbers: which one a value is, and how one becomes another.

Kinds are ordered: a computation over several has the widest kind among them. Python's ``int`` is an int32 where it fits
one, and else a long.
"""

from __future__ import annotations

import decimal
import math
from decimal import Decimal
from typing import Any, Final

from bson.decimal128 import Decimal128, create_decimal128_context
from bson.int64 import Int64

INT: Final = 0
LONG: Final = 1
DOUBLE: Final = 2
DECIMAL: Final = 3

INT32_LIMIT: Final = 1 << 31
INT64_LIMIT: Final = 1 << 63
CONTEXT: Final = create_decimal128_context()
"""Decimal128's precision and rounding; an operation that is invalid gives NaN."""
CONTEXT.traps[decimal.InvalidOperation] = False
CONTEXT.traps[decimal.Overflow] = False
CONTEXT.traps[decimal.Inexact] = False
CONTEXT.traps[decimal.DivisionByZero] = False

_DIGITS_OF_DOUBLE: Final = 15

Number = int | Int64 | float | Decimal128


def kind_of(value: Any) -> int | None:
    """`INT`, `LONG`, `DOUBLE` or `DECIMAL`; None for what is no number."""
    kind = type(value)
    if kind is int:
        return INT if -INT32_LIMIT <= value < INT32_LIMIT else LONG
    if kind is float:
        return DOUBLE
    if kind is Int64:
        return LONG
    if kind is Decimal128:
        return DECIMAL
    return None


def fits_int(value: int) -> bool:
    """Whether an integer fits 32 bits."""
    return -INT32_LIMIT <= value < INT32_LIMIT


def fits_long(value: int) -> bool:
    """Whether an integer fits 64 bits."""
    return -INT64_LIMIT <= value < INT64_LIMIT


def integer(value: int, kind: int) -> Number:
    """An exact result as an int or a long: no narrower than ``kind``; a double where 64 bits do not hold it."""
    if kind == INT and fits_int(value):
        return value
    return Int64(value) if fits_long(value) else float(value)


def as_decimal(number: Number) -> Decimal:
    """A number as a decimal. A double becomes one of exactly 15 digits (``Decimal128::kRoundTo15Digits``)."""
    if isinstance(number, Decimal128):
        return number.to_decimal()
    exact = Decimal(number)
    if not isinstance(number, float) or number == 0 or not math.isfinite(number):
        return exact
    rounded = _to_digits(exact, exact.adjusted())
    return rounded if rounded.adjusted() == exact.adjusted() else _to_digits(exact, rounded.adjusted())


def exact_decimal(number: Number) -> Decimal:
    """A number as a decimal of up to 34 digits (``Decimal128::kRoundTo34Digits``)."""
    return number.to_decimal() if isinstance(number, Decimal128) else CONTEXT.create_decimal(number)


def as_double(number: Number) -> float:
    """A number as the nearest double."""
    return float(number.to_decimal()) if isinstance(number, Decimal128) else float(number)


def decimal128(value: Decimal) -> Decimal128:
    """A decimal rounded to what Decimal128 holds."""
    return Decimal128(CONTEXT.plus(value) if not value.is_nan() else Decimal("NaN"))


def whole(value: Any) -> int | None:
    """A number without a fraction as an integer; None for any other value."""
    number = finite(value)
    if number is None:
        return None
    cut = int(number)
    return cut if cut == number else None


def clamped(value: Number, limit: int) -> int:
    """Any number as an integer: its fraction is dropped, NaN is 0, and what is out of range (from ``-limit`` on, below
    ``limit``) is the nearest that is not."""
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    if number.is_nan() if isinstance(number, Decimal) else math.isnan(number):  # math's raises for a signaling NaN
        return 0
    return int(max(-limit, min(limit - 1, number)))


def finite(value: Any) -> int | float | Decimal | None:
    """A number that is neither infinite nor NaN, as Python computes with it; None for any other value."""
    kind = kind_of(value)
    if kind is None:
        return None
    if kind == DECIMAL:  # math.isfinite raises for a signaling NaN
        number = value.to_decimal()
        return number if number.is_finite() else None
    return value if kind <= LONG or math.isfinite(value) else None


def _to_digits(number: Decimal, magnitude: int) -> Decimal:
    unit = Decimal((0, (1,), magnitude + 1 - _DIGITS_OF_DOUBLE))
    return number.quantize(unit, rounding=decimal.ROUND_HALF_EVEN)
