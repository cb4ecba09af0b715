"""``$tsSecond $tsIncrement``: the two halves of a timestamp, as longs."""

from __future__ import annotations

from typing import Any, Final

from bson.int64 import Int64
from bson.timestamp import Timestamp

from shadow_adapters.bson.expression.arguments import fixed
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.failures import CommandFailure


def _part(name: str, attribute: str, code: int) -> Operator:
    def function(value: Any) -> Any:
        if nullish(value):
            return None
        if not isinstance(value, Timestamp):
            raise CommandFailure(code, f"Argument to {name} must be a timestamp, but is {kind_name(value)}")
        return Int64(getattr(value, attribute))

    return fixed(function, 1)


TIMESTAMPS: Final[Operators] = {
    "$tsSecond": _part("$tsSecond", "time", 5687301),
    "$tsIncrement": _part("$tsIncrement", "inc", 5687302),
}
