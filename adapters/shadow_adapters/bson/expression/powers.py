"""``$round $trunc $pow $sqrt $exp $ln $log $log10``."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import between, fixed
from shadow_adapters.bson.expression.arithmetic import numeric
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.bson.numbers import (
    CONTEXT,
    DECIMAL,
    DOUBLE,
    LONG,
    Number,
    as_decimal,
    as_double,
    decimal128,
    exact_decimal,
    fits_long,
    integer,
    kind_of,
    whole,
)
from shadow_adapters.failures import CommandFailure

_PLACES: Final = (-20, 100)


def _rounding(name: str, mode: str, of_double: Callable[[float], int]) -> Operator:
    """The operator that rounds to a number of decimal places."""

    def call(value: Any, place: Any = 0) -> Any:
        if nullish(value):
            return None
        kind = kind_of(value)
        if kind is None:
            raise CommandFailure(51081, f"{name} only supports numeric types, not {kind_name(value)}")
        if nullish(place):
            return None
        places = whole(place)
        if places is None:
            raise CommandFailure(51082, f"precision argument to {name} must be a integral value")
        if not _PLACES[0] <= places <= _PLACES[1]:
            raise CommandFailure(51083, f"cannot apply {name} with precision value {places}: not in [-20, 100]")
        if kind <= LONG and places >= 0:
            return value
        if kind == DOUBLE and (not places or not math.isfinite(value)):
            return math.copysign(float(of_double(value)), value) if math.isfinite(value) else value
        return _quantized(name, value, kind, Decimal((0, (1,), -places)), mode)

    return between(call, 1, 2)


def _quantized(name: str, value: Any, kind: int, unit: Decimal, mode: str) -> Any:
    number = exact_decimal(value)
    rounded = number.quantize(unit, mode, CONTEXT) if number.is_finite() else number
    if kind == DECIMAL:
        return decimal128(rounded)
    if kind == DOUBLE:
        return float(rounded)
    if not rounded.is_finite() or not fits_long(int(rounded)):
        raise CommandFailure(51080, f"invalid conversion from Decimal128 result in {name}")
    return integer(int(rounded), kind)


def raised(base: Any, exponent: Any) -> Any:
    """``$pow``. Raises `CommandFailure` 28762 to 28764."""
    if nullish(base) or nullish(exponent):
        return None
    kinds = kind_of(base), kind_of(exponent)
    if kinds[0] is None:
        raise CommandFailure(28762, f"$pow's base must be numeric, not {kind_name(base)}")
    if kinds[1] is None:
        raise CommandFailure(28763, f"$pow's exponent must be numeric, not {kind_name(exponent)}")
    if as_double(base) == 0 and as_double(exponent) < 0:
        raise CommandFailure(28764, "$pow cannot take a base of 0 and a negative exponent")
    kind = max(kinds[0], kinds[1])
    if kind == DECIMAL:
        return decimal128(CONTEXT.power(as_decimal(base), as_decimal(exponent)))
    if kind == DOUBLE or (exponent < 0 and abs(int(base)) != 1):
        return _double_power(float(base), float(exponent))
    return _whole_power(int(base), int(exponent), kind)


def _double_power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 else math.inf
    except ValueError:
        return math.nan


def _whole_power(base: int, exponent: int, kind: int) -> Number:
    if abs(base) <= 1:  # a huge exponent is no more than a small one
        exponent = abs(exponent) % 2 if base < 0 else min(abs(exponent), 1)
    elif exponent > 63:
        return _double_power(float(base), float(exponent))
    return integer(int(base**exponent), kind)


def _positive(name: str, code: int, least: str, of_double: Callable[[float], float], of_decimal: Any) -> Operator:
    """The operator of a function that is defined for positive numbers."""

    def function(value: Any, kind: int) -> Any:
        number = as_double(value)
        if number < 0 or (number == 0 and least == "positive"):
            raise CommandFailure(code, f"{name}'s argument must be a {least} number, but is {value}")
        if kind == DECIMAL:
            return decimal128(of_decimal(value.to_decimal()))
        return of_double(number) if number == number else math.nan

    return numeric(name, function)


def _exp(value: Any, kind: int) -> Any:
    if kind == DECIMAL:
        return decimal128(CONTEXT.exp(value.to_decimal()))
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _log(value: Any, base: Any) -> Any:
    if nullish(value) or nullish(base):
        return None
    kinds = kind_of(value), kind_of(base)
    if kinds[0] is None:
        raise CommandFailure(28756, f"$log's argument must be numeric, not {kind_name(value)}")
    if kinds[1] is None:
        raise CommandFailure(28757, f"$log's base must be numeric, not {kind_name(base)}")
    if as_double(value) <= 0:
        raise CommandFailure(28758, f"$log's argument must be a positive number, but is {value}")
    if as_double(base) <= 0 or as_double(base) == 1:
        raise CommandFailure(28759, f"$log's base must be a positive number not equal to 1, but is {base}")
    if DECIMAL in kinds:
        return decimal128(CONTEXT.divide(CONTEXT.ln(as_decimal(value)), CONTEXT.ln(as_decimal(base))))
    return math.log(as_double(value)) / math.log(as_double(base))


POWERS: Final[Operators] = {
    "$round": _rounding("$round", decimal.ROUND_HALF_EVEN, round),
    "$trunc": _rounding("$trunc", decimal.ROUND_DOWN, math.trunc),
    "$pow": fixed(raised, 2),
    "$sqrt": _positive("$sqrt", 28714, "non-negative", math.sqrt, CONTEXT.sqrt),
    "$exp": numeric("$exp", _exp),
    "$ln": _positive("$ln", 28766, "positive", math.log, CONTEXT.ln),
    "$log10": _positive("$log10", 28761, "positive", math.log10, CONTEXT.log10),
    "$log": fixed(_log, 2),
}
