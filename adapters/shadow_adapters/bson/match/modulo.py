"""``$mod``: the remainder of a division of whole numbers, the fractions cut off (SEMANTICS 37)."""

from __future__ import annotations

from typing import Any

from shadow_adapters.bson.match.test import Leaf
from shadow_adapters.bson.numbers import finite
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure

_INT64 = 1 << 63


def modulo(argument: Any) -> Leaf:
    """``$mod``: ``[divisor, remainder]``. The remainder has the dividend's sign, as in C."""
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, "malformed mod, needs to be an array")
    if len(argument) != 2:
        raise CommandFailure(2, f"malformed mod, {'not enough' if len(argument) < 2 else 'too many'} elements")
    divisor, remainder = _operand(argument[0], "divisor"), _operand(argument[1], "remainder")
    if divisor == 0:
        raise CommandFailure(2, "divisor cannot be 0")

    def holds(value: Any) -> bool:
        number = _whole(value)
        return number is not None and number - divisor * _quotient(number, divisor) == remainder

    return Leaf(holds)


def _operand(value: Any, what: str) -> int:
    if not is_number(value):
        raise CommandFailure(2, f"malformed mod, {what} not a number")
    number = _whole(value)
    if number is None:
        raise CommandFailure(2, f"malformed mod, {what} value is invalid :: caused by :: it is no 64-bit integer")
    return number


def _whole(value: Any) -> int | None:
    """A number without its fraction; None for what is no number, or none of 64 bits."""
    number = finite(value)
    if number is None:
        return None
    whole = int(number)
    return whole if -_INT64 <= whole < _INT64 else None


def _quotient(number: int, divisor: int) -> int:
    quotient = abs(number) // abs(divisor)
    return quotient if (number < 0) == (divisor < 0) else -quotient
