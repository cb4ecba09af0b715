"""Trigonometry: ``$sin $cos $tan``, their inverses, the hyperbolic ones, and degrees and radians.

A double gives the C library's result, a decimal one that is right to its last digit, which MongoDB's may miss by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import fixed
from shadow_adapters.bson.expression.arithmetic import numeric
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.functions import FUNCTIONS, arctangent2
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.bson.numbers import CONTEXT, DECIMAL, Number, as_decimal, as_double, decimal128, kind_of
from shadow_adapters.failures import CommandFailure

_RADIANS_OF_DEGREE: Final = math.pi / 180, Decimal("0.01745329251994329576923690768488613")
_DEGREES_OF_RADIAN: Final = 180 / math.pi, Decimal("57.29577951308232087679815481410517")


def _everywhere(_: float | Decimal) -> bool:
    return True


def _finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _within_one(value: float | Decimal) -> bool:
    return -1 <= value <= 1


def _from_one(value: float | Decimal) -> bool:
    return value >= 1


def _function(name: str, of_double: Callable[[float], float], defined: Callable[[float | Decimal], bool]) -> Operator:
    """The operator of a function that is ``defined`` for some numbers; of NaN it is NaN."""
    of_decimal = FUNCTIONS[name]

    def function(value: Any, kind: int) -> Any:
        number: float | Decimal = value.to_decimal() if kind == DECIMAL else float(value)
        if number.is_nan() if isinstance(number, Decimal) else math.isnan(number):
            return value
        if not defined(number):
            raise CommandFailure(50989, f"cannot apply {name} to {value}, which is out of its bounds")
        return decimal128(of_decimal(number)) if isinstance(number, Decimal) else of_double(number)

    return numeric(name, function)


def _hyperbolic(of_double: Callable[[float], float], *, odd: bool) -> Callable[[float], float]:
    """A function that grows beyond every double."""

    def function(value: float) -> float:
        try:
            return of_double(value)
        except OverflowError:
            return math.copysign(math.inf, value) if odd else math.inf

    return function


def _atanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


def _atan2(y: Any, x: Any) -> Any:
    if nullish(y):
        return None
    kind = kind_of(y)
    if kind is None:
        raise CommandFailure(51044, f"$atan2 only supports numeric types, not {kind_name(y)}")
    if nullish(x):
        return None
    other = kind_of(x)
    if other is None:
        raise CommandFailure(51045, f"$atan2 only supports numeric types, not {kind_name(x)}")
    if DECIMAL in (kind, other):
        return decimal128(arctangent2(as_decimal(y), as_decimal(x)))
    return math.atan2(y, x)


def _converting(name: str, of_double: float, of_decimal: Decimal) -> Operator:
    def function(value: Number, kind: int) -> Any:
        if kind == DECIMAL:
            return decimal128(CONTEXT.multiply(as_decimal(value), of_decimal))
        return as_double(value) * of_double

    return numeric(name, function)


ANGLES: Final[Operators] = {
    "$sin": _function("$sin", math.sin, _finite),
    "$cos": _function("$cos", math.cos, _finite),
    "$tan": _function("$tan", math.tan, _finite),
    "$asin": _function("$asin", math.asin, _within_one),
    "$acos": _function("$acos", math.acos, _within_one),
    "$atan": _function("$atan", math.atan, _everywhere),
    "$atan2": fixed(_atan2, 2),
    "$sinh": _function("$sinh", _hyperbolic(math.sinh, odd=True), _everywhere),
    "$cosh": _function("$cosh", _hyperbolic(math.cosh, odd=False), _everywhere),
    "$tanh": _function("$tanh", math.tanh, _everywhere),
    "$asinh": _function("$asinh", math.asinh, _everywhere),
    "$acosh": _function("$acosh", math.acosh, _from_one),
    "$atanh": _function("$atanh", _atanh, _within_one),
    "$degreesToRadians": _converting("$degreesToRadians", *_RADIANS_OF_DEGREE),
    "$radiansToDegrees": _converting("$radiansToDegrees", *_DEGREES_OF_RADIAN),
}
