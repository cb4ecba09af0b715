"""Trigonometric functions of decimals, right to Decimal128's last digit.

Each is computed with many more digits than the 34 that are kept. Near zero the odd ones are their series' first two
terms; elsewhere no more than some forty digits are lost to cancellation.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Final

Function = Callable[[Decimal], Decimal]

_DIGITS: Final = 110
_WIDE: Final = decimal.Context(prec=_DIGITS, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
_ZERO, _ONE, _INFINITY = Decimal(0), Decimal(1), Decimal("Infinity")
_TINY: Final = -20
"""Below this power of ten the fourth power of a number is beyond all digits."""
_HUGE: Final = Decimal(20_000)
"""Beyond this a number's exponential is beyond Decimal128."""
_NEGLIGIBLE: Final = Decimal((0, (1,), -_DIGITS))


@cache
def pi(digits: int) -> Decimal:
    """π with so many digits, by Machin's formula."""
    one: int = 10 ** (digits + 10)

    def inverse_tangent(of: int) -> int:
        term, total, odd = one // of, 0, 1
        while term:
            total += term // odd if odd % 4 == 1 else -(term // odd)
            term, odd = term // (of * of), odd + 2
        return total

    scaled = 4 * (4 * inverse_tangent(5) - inverse_tangent(239))
    return Decimal(scaled).scaleb(-digits - 10, decimal.Context(prec=digits + 20))


def _near_zero(third: int, function: Function) -> Function:
    """An odd function that is x + x³/third near zero."""

    def odd(x: Decimal) -> Decimal:
        if not x:
            return x
        if x.is_finite() and x.adjusted() < _TINY:
            return _WIDE.fma(_WIDE.multiply(x, _WIDE.divide(x, Decimal(third))), x, x)
        return function(x)

    return odd


def _series(x: Decimal, power: int) -> Decimal:
    """The terms of sine (power 1) or cosine (power 0), for a number below 1."""
    square = _WIDE.multiply(x, x)
    term = x if power else _ONE
    total, at = term, power
    while term and term.adjusted() > total.adjusted() - _DIGITS:
        term = _WIDE.divide(_WIDE.multiply(term, square), Decimal(-(at + 1) * (at + 2)))
        total, at = _WIDE.add(total, term), at + 2
    return total


def _turned(x: Decimal) -> tuple[Decimal, int]:
    """What is left of a number by quarter turns, and how many there are, of four."""
    digits = (max(0, x.adjusted()) // _DIGITS + 3) * _DIGITS
    context = decimal.Context(prec=digits, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
    quarter = context.divide(pi(digits), Decimal(2))
    turns = context.divide(x, quarter).to_integral_value(decimal.ROUND_HALF_EVEN)
    return _WIDE.plus(context.subtract(x, context.multiply(turns, quarter))), int(turns) % 4


def _sine(x: Decimal) -> Decimal:
    rest, turns = _turned(x)
    value = _series(rest, 1 - turns % 2)
    return value.copy_negate() if turns in (2, 3) else value


def _cosine(x: Decimal) -> Decimal:
    rest, turns = _turned(x)
    value = _series(rest, turns % 2)
    return value.copy_negate() if turns in (1, 2) else value


def _tangent(x: Decimal) -> Decimal:
    return _WIDE.divide(_sine(x), _cosine(x))


def _arctangent(x: Decimal) -> Decimal:
    if x.is_infinite() or x.copy_abs() > 1:
        quarter = _WIDE.divide(pi(_DIGITS), Decimal(2)).copy_sign(x)
        return _WIDE.subtract(quarter, ARCTANGENT(_WIDE.divide(_ONE, x)))
    for _ in range(4):  # the half of an angle has the tangent x / (1 + √(1 + x²))
        x = _WIDE.divide(x, _WIDE.add(_ONE, _WIDE.sqrt(_WIDE.fma(x, x, _ONE))))
    square, power = _WIDE.multiply(x, x), x
    total, odd = x, 1
    while power.adjusted() > total.adjusted() - _DIGITS:
        power, odd = _WIDE.multiply(power, square).copy_negate(), odd + 2
        total = _WIDE.add(total, _WIDE.divide(power, Decimal(odd)))
    return _WIDE.multiply(total, Decimal(16))


ARCTANGENT: Final = _near_zero(-3, _arctangent)


def _arcsine(x: Decimal) -> Decimal:
    if x.copy_abs() == 1:
        return _WIDE.divide(pi(_DIGITS), Decimal(2)).copy_sign(x)
    other = _WIDE.sqrt(_WIDE.multiply(_WIDE.subtract(_ONE, x), _WIDE.add(_ONE, x)))
    return ARCTANGENT(_WIDE.divide(x, other))


def _arccosine(x: Decimal) -> Decimal:
    if x == 1:
        return _ZERO
    if x == -1:
        return pi(_DIGITS)
    tangent = _WIDE.sqrt(_WIDE.divide(_WIDE.subtract(_ONE, x), _WIDE.add(_ONE, x)))
    return _WIDE.multiply(ARCTANGENT(tangent), Decimal(2))


def _exponentials(x: Decimal) -> tuple[Decimal, Decimal]:
    grown = _WIDE.exp(x)
    return grown, _WIDE.divide(_ONE, grown)


def _hyperbolic_sine(x: Decimal) -> Decimal:
    if x.copy_abs() > _HUGE:
        return _INFINITY.copy_sign(x)
    up, down = _exponentials(x)
    return _WIDE.divide(_WIDE.subtract(up, down), Decimal(2))


def _hyperbolic_cosine(x: Decimal) -> Decimal:
    if x.copy_abs() > _HUGE:
        return _INFINITY
    up, down = _exponentials(x)
    return _WIDE.divide(_WIDE.add(up, down), Decimal(2)) if x else _ONE


def _hyperbolic_tangent(x: Decimal) -> Decimal:
    if x.is_infinite():
        return _ONE.copy_sign(x)
    if x.copy_abs() > _HUGE:
        return _WIDE.subtract(_ONE, _NEGLIGIBLE).copy_sign(x)
    up, down = _exponentials(x)
    return _WIDE.divide(_WIDE.subtract(up, down), _WIDE.add(up, down))


def _area_sine(x: Decimal) -> Decimal:
    if x.is_infinite():
        return x
    size = x.copy_abs()
    return _WIDE.ln(_WIDE.add(size, _WIDE.sqrt(_WIDE.fma(size, size, _ONE)))).copy_sign(x)


def _area_cosine(x: Decimal) -> Decimal:
    if x.is_infinite():
        return x
    if x == 1:
        return _ZERO
    root = _WIDE.sqrt(_WIDE.multiply(_WIDE.subtract(x, _ONE), _WIDE.add(x, _ONE)))
    return _WIDE.ln(_WIDE.add(x, root))


def _area_tangent(x: Decimal) -> Decimal:
    if x.copy_abs() == 1:
        return _INFINITY.copy_sign(x)
    ratio = _WIDE.divide(_WIDE.add(_ONE, x), _WIDE.subtract(_ONE, x))
    return _WIDE.divide(_WIDE.ln(ratio), Decimal(2))


def arctangent2(y: Decimal, x: Decimal) -> Decimal:
    """The angle of a point, from -π to π; NaN where either is."""
    if y.is_nan() or x.is_nan():
        return Decimal("NaN")
    if x.is_infinite() and y.is_infinite():
        angle = _WIDE.multiply(pi(_DIGITS), Decimal("0.75" if x.is_signed() else "0.25"))
    elif not y or x.is_infinite():
        angle = pi(_DIGITS) if x.is_signed() else _ZERO
    elif not x or y.is_infinite():
        angle = _WIDE.divide(pi(_DIGITS), Decimal(2))
    else:
        angle = ARCTANGENT(_WIDE.divide(y.copy_abs(), x.copy_abs()))
        angle = _WIDE.subtract(pi(_DIGITS), angle) if x.is_signed() else angle
    return angle.copy_sign(y)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "$sin": _near_zero(-6, _sine),
    "$cos": lambda x: _cosine(x) if x else _ONE,
    "$tan": _near_zero(3, _tangent),
    "$asin": _near_zero(6, _arcsine),
    "$acos": _arccosine,
    "$atan": ARCTANGENT,
    "$sinh": _near_zero(6, _hyperbolic_sine),
    "$cosh": _hyperbolic_cosine,
    "$tanh": _near_zero(-3, _hyperbolic_tangent),
    "$asinh": _near_zero(-6, _area_sine),
    "$acosh": _area_cosine,
    "$atanh": _near_zero(3, _area_tangent),
}
"""The function of each operator, for numbers that it is defined for."""
