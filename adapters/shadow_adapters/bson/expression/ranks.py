"""The parameters of ``$median`` and ``$percentile``, which an expression and an accumulator share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.node import Expression
from shadow_adapters.bson.expression.totals import Median, Percentiles
from shadow_adapters.bson.numbers import as_double, kind_of
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.expression.compiler import Compiler

_MEDIAN: Final = Parameters({"input": 40414, "method": 40414}, (), unknown=40415, no_object=7436100)
_PERCENTILE: Final = Parameters({"input": 40414, "p": 40414, "method": 40414}, (), unknown=40415, no_object=7429703)


def read_ranks(name: str, argument: Any, compiler: Compiler) -> tuple[Expression, Callable[[], Percentiles]]:
    """The input, and what makes the state that takes it. Raises `CommandFailure`."""
    fields = (_MEDIAN if name == "$median" else _PERCENTILE).read(name, argument)
    if fields["method"] != "approximate":
        raise CommandFailure(2, "Currently only 'approximate' can be used as percentile 'method'.")
    source = compiler.compile(fields["input"])
    if name == "$median":
        return source, Median
    ranks = _ranks(compiler.compile(fields["p"]))
    return source, lambda: Percentiles(ranks)


def _ranks(p: Expression) -> list[float]:
    values = p.evaluate({}) if p.constant else None
    if not isinstance(values, list) or not values:
        raise CommandFailure(7750301, "The $percentile 'p' field must be a constant array of numbers from [0.0, 1.0]")
    if any(kind_of(value) is None or not 0 <= as_double(value) <= 1 for value in values):
        raise CommandFailure(7750303, "The $percentile 'p' field must be an array of numbers from [0.0, 1.0]")
    return [as_double(value) for value in values]
