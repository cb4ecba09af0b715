"""The accumulators as expressions: over the elements of one array, or over several operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shadow_adapters.bson.expression.compiler import Compiler, Operator, Operators
from shadow_adapters.bson.expression.node import Expression, applied
from shadow_adapters.bson.expression.ranks import read_ranks
from shadow_adapters.bson.expression.totals import Average, Deviation, Extreme, State, Sum


def _over(make: Callable[[], State]) -> Operator:
    def compile(_: str, argument: Any, compiler: Compiler) -> Expression:
        operands = compiler.operands(argument)
        alone = len(operands) == 1

        def function(*values: Any) -> Any:
            return _taken(make(), values[0] if alone and isinstance(values[0], list) else values)

        return applied(function, operands)

    return compile


def _taken(state: State, values: Any) -> Any:
    for value in values:
        state.take(value)
    return state.result()


def _ranks(name: str, argument: Any, compiler: Compiler) -> Expression:
    source, make = read_ranks(name, argument, compiler)
    return applied(lambda value: _taken(make(), value if isinstance(value, list) else [value]), [source])


STATISTICS: Final[Operators] = {
    "$sum": _over(Sum),
    "$avg": _over(Average),
    "$min": _over(lambda: Extreme(greatest=False)),
    "$max": _over(lambda: Extreme(greatest=True)),
    "$stdDevPop": _over(lambda: Deviation(sample=False)),
    "$stdDevSamp": _over(lambda: Deviation(sample=True)),
    "$median": _ranks,
    "$percentile": _ranks,
}
