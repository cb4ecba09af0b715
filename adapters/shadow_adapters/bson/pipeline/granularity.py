"""``granularity`` of ``$bucketAuto``: preferred numbers (Renard's, the E series, 1-2-5), and powers of two.

A number is rounded up to the next of a series that is above it, and down to the next that is below it. A series goes on
by powers of ten, which are multiplied one by one as MongoDB does it, so that doubles are the same to the last bit.
"""

from __future__ import annotations

import decimal
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from bson.decimal128 import Decimal128

from shadow_adapters.bson.expression.powers import raised
from shadow_adapters.bson.expression.values import kind_name
from shadow_adapters.bson.numbers import CONTEXT, DECIMAL, as_decimal, as_double, decimal128, kind_of
from shadow_adapters.failures import CommandFailure


def _e_series(count: int) -> tuple[int, ...]:
    """So many numbers from 100 on, each larger than the one before by the same ratio; IEC 60063 has 920 for 919."""
    numbers = [round(100 * 10 ** (step / count)) for step in range(count)]
    return tuple(920 if number == 919 else number for number in numbers)


_SERIES: Final[dict[str, tuple[int, ...]]] = {
    "R5": (10, 16, 25, 40, 63),
    "R10": (100, 125, 160, 200, 250, 315, 400, 500, 630, 800),
    "R20": (100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900),
    "R40": (100, 106, 112, 118, 125, 132, 140, 150, 160, 170, 180, 190, 200, 212, 224, 236, 250, 265, 280, 300,
            315, 355, 375, 400, 425, 450, 475, 500, 530, 560, 600, 630, 670, 710, 750, 800, 850, 900, 950),
    "R80": (103, 109, 115, 122, 128, 136, 145, 155, 165, 175, 185, 195, 206, 218, 230, 243, 258, 272, 290, 307,
            325, 345, 365, 387, 412, 437, 462, 487, 515, 545, 575, 615, 650, 690, 730, 775, 825, 875, 925, 975),
    "1-2-5": (10, 20, 50),
    "E6": (10, 15, 22, 33, 47, 68),
    "E12": (10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82),
    "E24": (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91),
    "E48": _e_series(48),
    "E96": _e_series(96),
    "E192": _e_series(192),
}  # fmt: skip
"""As MongoDB has them: its R40 is without 335, its R80 without the numbers of R40."""
_POWERS: Final = "POWERSOF2"
_InSeries = Callable[[Any, Sequence[int]], Any]


class Granularity:
    """Rounds the bounds of buckets."""

    def __init__(self, name: Any) -> None:
        """Raises `CommandFailure` 40261 for what is no string, 40257 for an unknown name."""
        if not isinstance(name, str):
            raise CommandFailure(40261, f"The $bucketAuto 'granularity' field must be a string, but found {name}")
        if name not in _SERIES and name != _POWERS:
            raise CommandFailure(40257, f"Unknown rounding granularity '{name}'")
        self._series = _SERIES.get(name)

    def check(self, value: Any) -> None:
        """Whether a value can be rounded. Raises `CommandFailure` 40258 to 40260, and 115 where MongoDB never ends."""
        if kind_of(value) is None:
            raise CommandFailure(
                40258,
                "$bucketAuto can specify a 'granularity' with numeric boundaries only, but found a value with type: "
                f"{kind_name(value)}",
            )
        number = as_decimal(value)
        if number.is_nan():
            raise CommandFailure(40259, "$bucketAuto can specify a 'granularity' with numeric boundaries only, not NaN")
        if number < 0:
            raise CommandFailure(40260, "$bucketAuto can specify a 'granularity' with non-negative numbers only")
        if number.is_infinite():
            raise CommandFailure(
                115, "an infinite number is not rounded here", unsupported="$bucketAuto granularity of an infinity"
            )

    def up(self, value: Any) -> Any:
        """The next number of the series above a value; zero is itself."""
        return self._rounded(value, _up, _next_power)

    def down(self, value: Any) -> Any:
        """The next number of the series below a value; zero is itself."""
        return self._rounded(value, _down, _last_power)

    def _rounded(self, value: Any, in_series: _InSeries, power: Callable[[float], int]) -> Any:
        if not as_double(value):
            return value
        exact = kind_of(value) == DECIMAL
        with decimal.localcontext(CONTEXT):
            if self._series is not None:
                found = in_series(value.to_decimal() if exact else as_double(value), self._series)
                return decimal128(found) if exact else found
            if not exact:
                return raised(2, power(math.log2(value)))
            return raised(2, Decimal128(str(power(float(value.to_decimal().ln() / Decimal(2).ln())))))


def _scale(number: Any, series: Sequence[int]) -> Any:
    """Where the search for the power of ten begins; in decimals, which are exact, it begins near its end."""
    return _ten(number.adjusted() - Decimal(series[0]).adjusted()) if isinstance(number, Decimal) else 1.0


def _ten(power: int) -> Decimal:
    return CONTEXT.create_decimal(10**power) if power >= 0 else Decimal((0, (1,), power))


def _larger(scale: Any) -> Any:
    return _ten(scale.adjusted() + 1) if isinstance(scale, Decimal) else scale * 10


def _smaller(scale: Any) -> Any:
    return _ten(scale.adjusted() - 1) if isinstance(scale, Decimal) else scale / 10


def _up(number: Any, series: Sequence[int]) -> Any:
    scale = _scale(number, series)
    while number >= series[-1] * scale:
        scale = _larger(scale)
    while number < series[0] * scale:
        least = series[0] * scale
        scale = _smaller(scale)
        if number >= series[-1] * scale:
            return least
    return series[bisect_right([each * scale for each in series], number)] * scale


def _down(number: Any, series: Sequence[int]) -> Any:
    scale = _scale(number, series)
    while number <= series[0] * scale:
        scale = _smaller(scale)
    while scale and number > series[-1] * scale:
        most = series[-1] * scale
        scale = _larger(scale)
        if number <= series[0] * scale:
            return most
    return series[bisect_left([each * scale for each in series], number) - 1] * scale


def _next_power(logarithm: float) -> int:
    return math.floor(logarithm) + 1


def _last_power(logarithm: float) -> int:
    return math.ceil(logarithm) - 1
