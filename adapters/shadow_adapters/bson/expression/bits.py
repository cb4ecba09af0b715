"""``$bitAnd $bitOr $bitXor $bitNot``, of ints and longs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import variadic
from shadow_adapters.bson.expression.arithmetic import numeric
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.bson.numbers import INT, LONG, integer, kind_of
from shadow_adapters.failures import CommandFailure

_TYPE_MISMATCH: Final = 14


def _over(name: str, combine: Callable[[int, int], int], start: int) -> Operator:
    """The operator over any number of operands; a long among them makes the result one."""

    def function(*values: Any) -> Any:
        result, widest = start, INT
        for value in values:
            if nullish(value):
                return None
            kind = kind_of(value)
            if kind is None or kind > LONG:
                raise CommandFailure(_TYPE_MISMATCH, f"{name} only supports int and long operands.")
            result, widest = combine(result, int(value)), max(widest, kind)
        return integer(result, widest)

    return variadic(function)


def _not(value: Any, kind: int) -> Any:
    if kind > LONG:
        raise CommandFailure(_TYPE_MISMATCH, f"$bitNot only supports int and long, not: {kind_name(value)}.")
    return integer(~int(value), kind)


BITS: Final[Operators] = {
    "$bitAnd": _over("$bitAnd", operator.and_, -1),
    "$bitOr": _over("$bitOr", operator.or_, 0),
    "$bitXor": _over("$bitXor", operator.xor, 0),
    "$bitNot": numeric("$bitNot", _not),
}
