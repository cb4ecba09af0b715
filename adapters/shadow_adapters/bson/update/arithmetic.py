"""Adding and multiplying BSON numbers: the result's type is the wider of the two, and grows where it must."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from bson.decimal128 import Decimal128, create_decimal128_context
from bson.int64 import Int64

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
_DIGITS_OF_DOUBLE: Final = 15
_CONTEXT: Final = create_decimal128_context()

Number = int | Int64 | float | Decimal128
Arithmetic = Callable[[Number, Number], Number | None]


def add(left: Number, right: Number) -> Number | None:
    """The sum; None where it does not fit 64 bits."""
    return _combined(left, right, lambda a, b: a + b, _CONTEXT.add)


def multiply(left: Number, right: Number) -> Number | None:
    """The product; None where it does not fit 64 bits."""
    return _combined(left, right, lambda a, b: a * b, _CONTEXT.multiply)


def _combined(
    left: Number, right: Number, plain: Callable[[Any, Any], Any], exact: Callable[[Decimal, Decimal], Decimal]
) -> Number | None:
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        with decimal.localcontext(_CONTEXT):
            return Decimal128(exact(_widened(left), _widened(right)))
    if isinstance(left, float) or isinstance(right, float):
        return float(plain(float(left), float(right)))
    whole = int(plain(int(left), int(right)))
    if _is_long(left) or _is_long(right) or not -_INT32 <= whole < _INT32:
        return Int64(whole) if -_INT64 <= whole < _INT64 else None
    return whole


def _is_long(number: int) -> bool:
    return isinstance(number, Int64) or not -_INT32 <= number < _INT32


def _widened(number: Number) -> Decimal:
    """A number as a decimal. A double becomes one of exactly 15 digits (``Decimal128::kRoundTo15Digits``)."""
    if isinstance(number, Decimal128):
        return number.to_decimal()
    exact = Decimal(number)
    if not isinstance(number, float) or number == 0 or not math.isfinite(number):
        return exact
    rounded = _to_digits(exact, exact.adjusted())
    return rounded if rounded.adjusted() == exact.adjusted() else _to_digits(exact, rounded.adjusted())


def _to_digits(number: Decimal, magnitude: int) -> Decimal:
    unit = Decimal((0, (1,), magnitude + 1 - _DIGITS_OF_DOUBLE))
    return number.quantize(unit, rounding=decimal.ROUND_HALF_EVEN)
