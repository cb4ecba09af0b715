"""What is gathered over a window and nowhere else: ``$expMovingAvg $integral $covariancePop $covarianceSamp``."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from shadow_adapters.bson.accumulators import Factory
from shadow_adapters.bson.accumulators.base import Fed
from shadow_adapters.bson.expression import compile_expression
from shadow_adapters.bson.expression.arithmetic import add, divide, multiply, subtract
from shadow_adapters.bson.expression.totals import Average, Sum
from shadow_adapters.bson.numbers import CONTEXT, DECIMAL, as_decimal, as_double, decimal128, kind_of, whole
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

_FAILED_TO_PARSE: Final = 9
_TWO: Final = 2.0


class _MovingAverage:
    """The average in which each number weighs more than the one before it; computed in decimals."""

    def __init__(self, alpha: Decimal) -> None:
        self.alpha = alpha
        self.rest = CONTEXT.subtract(Decimal(1), alpha)
        self.average: Decimal | None = None
        self.decimal = False

    def take(self, value: Any) -> None:
        kind = kind_of(value)
        if kind is None:
            return
        self.decimal = self.decimal or kind == DECIMAL
        number = as_decimal(value)
        if self.average is None:
            self.average = number
        else:
            new, old = CONTEXT.multiply(number, self.alpha), CONTEXT.multiply(self.average, self.rest)
            self.average = CONTEXT.add(new, old)

    def result(self) -> Any:
        if self.average is None:
            return None
        return decimal128(self.average) if self.decimal else float(self.average)


def moving_average(argument: Any, scope: Scope) -> Factory:
    """``$expMovingAvg``. Raises `CommandFailure` 9."""
    if not isinstance(argument, Mapping) or len(argument) != 2 or "input" not in argument:
        raise CommandFailure(
            _FAILED_TO_PARSE, "$expMovingAvg sub object must have exactly two fields: 'input', and 'N' or 'alpha'"
        )
    expression = compile_expression(argument["input"], scope.names)
    alpha = _alpha(argument)
    return lambda: Fed(expression, _MovingAverage(alpha))


def _alpha(argument: Mapping[str, Any]) -> Decimal:
    if "N" in argument:
        count = whole(argument["N"])
        if count is None or count <= 0:
            raise CommandFailure(_FAILED_TO_PARSE, "'N' must be an integer greater than zero")
        return CONTEXT.divide(Decimal(2), Decimal(count + 1))
    if "alpha" not in argument:
        raise CommandFailure(_FAILED_TO_PARSE, "Got unrecognized field in $expMovingAvg")
    alpha = argument["alpha"]
    if kind_of(alpha) is None:
        raise CommandFailure(_FAILED_TO_PARSE, "'alpha' must be a number")
    if not 0 < as_decimal(alpha) < 1:
        raise CommandFailure(_FAILED_TO_PARSE, f"'alpha' must be between 0 and 1 (exclusive), found {alpha}")
    return as_decimal(alpha)


def _is_nan(value: Any) -> bool:
    return kind_of(value) is not None and as_decimal(value).is_nan()


class _Integral:
    """The area below points, by the trapezoidal rule, over milliseconds or in units of so many."""

    def __init__(self, unit: int | None) -> None:
        self.unit = unit
        self.last: tuple[Any, Any] | None = None
        self.total = Sum()
        self.undefined = False

    def take(self, value: Any) -> None:
        x, y = value
        if kind_of(y) is None or (kind_of(x) is None and not isinstance(x, DatetimeMS)):
            raise CommandFailure(
                5423900, "The input value of $integral must be a number over a number or a date that it is sorted by"
            )
        if self.unit is not None and not isinstance(x, DatetimeMS):
            raise CommandFailure(5423901, "$integral with 'unit' expects the sortBy field to be a Date")
        if self.unit is None and isinstance(x, DatetimeMS):
            raise CommandFailure(5423902, "$integral (with no 'unit') expects the sortBy field to be numeric")
        if _is_nan(x) or _is_nan(y):
            self.undefined = True
        elif self.last is not None and not any(map(_is_nan, self.last)):
            area = multiply(add(y, self.last[1]), subtract(x, self.last[0]))
            self.total.take(divide(area, _TWO))
        self.last = x, y

    def result(self) -> Any:
        if self.last is None:
            return None
        if self.undefined:
            return float("nan")
        return self.total.result() if self.unit is None else divide(self.total.result(), Int64(self.unit))


def integral(path: str, source: Any, unit: int | None, scope: Scope) -> Factory:
    """``$integral`` of an expression over the field that it is sorted by. Raises `CommandFailure`."""
    points = compile_expression([f"${path}", source], scope.names)
    return lambda: Fed(points, _Integral(unit))


class _Covariance:
    """The covariance of pairs of numbers, by Welford's method; other values are passed over."""

    def __init__(self, *, sample: bool) -> None:
        self.sample = sample
        self.x, self.y = Average(), Average()
        self.products = Sum()

    def take(self, value: Any) -> None:
        if not isinstance(value, list) or len(value) != 2 or any(kind_of(each) is None for each in value):
            return
        x, y = value
        if not (as_decimal(x).is_finite() and as_decimal(y).is_finite()):
            self.products.take(_beyond(value))
            return
        before = self.x.result()
        self.x.take(x)
        self.y.take(y)
        self.products.take(multiply(subtract(x, before), subtract(y, self.y.result())))

    def result(self) -> Any:
        count = self.x.count
        if count == 1 and not self.sample:
            return 0.0
        count -= self.sample
        if count <= 0:
            return None
        total = self.products.result()
        return divide(total, float(count)) if kind_of(total) == DECIMAL else as_double(total) / count


def _beyond(pair: list[Any]) -> Any:
    """An infinity or NaN for a pair in which there is one, or both signs of infinity."""
    numbers = [as_decimal(each) for each in pair]
    signs = {number.is_signed() for number in numbers if number.is_infinite()}
    undefined = any(number.is_nan() for number in numbers) or len(signs) == 2
    number = Decimal("NaN") if undefined else Decimal("-Infinity" if True in signs else "Infinity")
    decimal = any(kind_of(each) == DECIMAL and not _is_nan(each) for each in pair)
    return decimal128(number) if decimal else float(number)


def covariance(name: str, argument: Any, scope: Scope) -> Factory:
    """``$covariancePop`` and ``$covarianceSamp``. Raises `CommandFailure`."""
    expression = compile_expression(argument, scope.names)
    return lambda: Fed(expression, _Covariance(sample=name == "$covarianceSamp"))
