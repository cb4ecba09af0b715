"""What is gathered from many values: sum, average, extreme, deviation, percentile. Each `take`s values, one by one."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Protocol

from shadow_adapters.bson.expression.values import key, nullish
from shadow_adapters.bson.numbers import (
    CONTEXT,
    DECIMAL,
    DOUBLE,
    INT,
    LONG,
    as_double,
    decimal128,
    exact_decimal,
    integer,
    kind_of,
)


class State(Protocol):
    """What is known of the values taken so far."""

    def take(self, value: Any) -> None:
        """Take one value; it may be `MISSING`."""

    def result(self) -> Any:
        """The result for the values taken."""


class Sum:
    """The sum of the numbers; what is no number is passed over.

    Integers are added exactly, and doubles as two of them (sum and error), so that little is lost whatever the order.
    """

    def __init__(self) -> None:
        self.kind = INT
        self.count = 0
        self.whole = 0
        self.double = 0.0
        self.error = 0.0
        self.decimal = Decimal(0)

    def take(self, value: Any) -> None:
        kind = kind_of(value)
        if kind is None:
            return
        self.count += 1
        if kind > self.kind:
            self.kind = kind
        if kind <= LONG:
            self.whole += value
        elif kind == DOUBLE:
            self._add_double(value)
        else:
            self.decimal = CONTEXT.add(self.decimal, value.to_decimal())

    def _add_double(self, value: float) -> None:
        total = self.double + value
        if math.isfinite(total):
            part = total - self.double
            self.error += (self.double - (total - part)) + (value - part)
        else:
            self.error = 0.0
        self.double = total

    def total(self) -> float:
        """The sum of all but the decimals, as a double."""
        if not self.whole:
            return self.double + self.error
        return float(self.whole) + self.error + self.double if math.isfinite(self.double) else self.double

    def exact(self) -> Decimal:
        """The sum with the decimals."""
        if not math.isfinite(self.double):
            return CONTEXT.add(self.decimal, Decimal(self.double))
        rest = CONTEXT.add(exact_decimal(self.error), exact_decimal(self.double))
        return CONTEXT.add(CONTEXT.add(self.decimal, CONTEXT.create_decimal(self.whole)), rest)

    def result(self) -> Any:
        if self.kind == DECIMAL:
            return decimal128(self.exact())
        return self.total() if self.kind == DOUBLE else integer(self.whole, self.kind)


class Average(Sum):
    """The mean of the numbers, a double or a decimal; null where there is none."""

    def result(self) -> Any:
        if not self.count:
            return None
        if self.kind == DECIMAL:
            return decimal128(CONTEXT.divide(self.exact(), Decimal(self.count)))
        return self.total() / self.count


class Extreme:
    """The least or the greatest value, in BSON's order; null and missing are passed over."""

    def __init__(self, *, greatest: bool) -> None:
        self.greatest = greatest
        self.value: Any = None
        self.key: bytes | None = None

    def take(self, value: Any) -> None:
        if nullish(value):
            return
        taken = key(value)
        if self.key is None or (taken > self.key if self.greatest else taken < self.key):
            self.key, self.value = taken, value

    def result(self) -> Any:
        return self.value


class Deviation:
    """The standard deviation of the numbers, by Welford's method; null where there are too few."""

    def __init__(self, *, sample: bool) -> None:
        self.least = 2 if sample else 1
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0

    def take(self, value: Any) -> None:
        if kind_of(value) is None:
            return
        number = as_double(value)
        self.count += 1
        delta = number - self.mean
        self.mean += delta / self.count
        self.squares += delta * (number - self.mean)

    def result(self) -> Any:
        if self.count < self.least:
            return None
        return math.sqrt(self.squares / (self.count - self.least + 1))


class Percentiles:
    """Percentiles of the numbers, as doubles: the least number that so many are not above; null where there is none."""

    def __init__(self, ranks: list[float]) -> None:
        self.ranks = ranks
        self.numbers: list[float] = []

    def take(self, value: Any) -> None:
        if kind_of(value) is not None:
            number = as_double(value)
            if not math.isnan(number):
                self.numbers.append(number)

    def result(self) -> Any:
        ordered = sorted(self.numbers)
        if not ordered:
            return [None] * len(self.ranks)
        return [ordered[max(0, math.ceil(rank * len(ordered)) - 1)] for rank in self.ranks]


class Median(Percentiles):
    """The 50th percentile alone."""

    def __init__(self) -> None:
        super().__init__([0.5])

    def result(self) -> Any:
        return super().result()[0]
