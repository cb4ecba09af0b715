"""Adding and multiplying BSON numbers: the result's type is the wider of the two, and grows where it must."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.numbers import CONTEXT, Number, as_decimal

__all__ = ["Arithmetic", "Number", "add", "multiply"]

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63

Arithmetic = Callable[[Number, Number], Number | None]


def add(left: Number, right: Number) -> Number | None:
    """The sum; None where it does not fit 64 bits."""
    return _combined(left, right, lambda a, b: a + b, CONTEXT.add)


def multiply(left: Number, right: Number) -> Number | None:
    """The product; None where it does not fit 64 bits."""
    return _combined(left, right, lambda a, b: a * b, CONTEXT.multiply)


def _combined(
    left: Number, right: Number, plain: Callable[[Any, Any], Any], exact: Callable[[Decimal, Decimal], Decimal]
) -> Number | None:
    if isinstance(left, Decimal128) or isinstance(right, Decimal128):
        with decimal.localcontext(CONTEXT):
            return Decimal128(exact(as_decimal(left), as_decimal(right)))
    if isinstance(left, float) or isinstance(right, float):
        return float(plain(float(left), float(right)))
    whole = int(plain(int(left), int(right)))
    if _is_long(left) or _is_long(right) or not -_INT32 <= whole < _INT32:
        return Int64(whole) if -_INT64 <= whole < _INT64 else None
    return whole


def _is_long(number: int) -> bool:
    return isinstance(number, Int64) or not -_INT32 <= number < _INT32
