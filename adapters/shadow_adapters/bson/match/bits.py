"""``$bitsAllSet``, ``$bitsAnySet``, ``$bitsAllClear``, ``$bitsAnyClear``: bits of whole numbers and of binary data
(SEMANTICS 41).

A negative number goes on as ones to the left, in two's complement; binary data, whose first byte has the lowest bits,
as zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shadow_adapters.bson.limits import MAX_BYTES
from shadow_adapters.bson.match.test import Leaf
from shadow_adapters.bson.numbers import fits_long, whole
from shadow_adapters.bson.types import is_number, type_name
from shadow_adapters.failures import CommandFailure

_MAX_POSITION: Final = (1 << 31) - 1
_MAX_BIT: Final = 8 * MAX_BYTES
"""No binary data is as long; the bits from here on are all alike."""

_TESTS: Final[dict[str, Callable[[int, int], bool]]] = {
    "$bitsAllSet": lambda bits, mask: bits & mask == mask,
    "$bitsAnySet": lambda bits, mask: bits & mask != 0,
    "$bitsAllClear": lambda bits, mask: bits & mask == 0,
    "$bitsAnyClear": lambda bits, mask: bits & mask != mask,
}


def bits(name: str, argument: Any) -> Leaf:
    """The operator of that name over a mask: a number, a list of positions or binary data.

    Raises `CommandFailure`: 2 for a mask of another type or a bad position, 9 for a number that is negative or has a
    fraction.
    """
    test, mask = _TESTS[name], _mask(name, argument)

    def holds(value: Any) -> bool:
        found = _bits(value)
        return found is not None and test(found, mask)

    return Leaf(holds)


def _mask(name: str, argument: Any) -> int:
    if isinstance(argument, list | tuple):
        return _positions(argument)
    if isinstance(argument, bytes):
        return int.from_bytes(argument, "little")
    if not is_number(argument):
        raise CommandFailure(
            2, f"{name} takes an Array, a number, or a BinData but received a value of type {type_name(argument)}"
        )
    mask = _whole(argument)
    if mask is None:
        raise CommandFailure(9, f"Expected an integer: {name}: {argument}")
    if mask < 0:
        raise CommandFailure(9, f"Expected a non-negative number in: {name}: {argument}")
    return mask


def _positions(positions: list[Any] | tuple[Any, ...]) -> int:
    mask = 0
    for position in positions:
        place = _whole(position)
        if place is None:
            raise CommandFailure(2, f"bit positions must be an integer but got a value of type {type_name(position)}")
        if not 0 <= place <= _MAX_POSITION:
            raise CommandFailure(2, f"bit positions must be between 0 and {_MAX_POSITION} but got: {place}")
        mask |= 1 << min(place, _MAX_BIT)
    return mask


def _bits(value: Any) -> int | None:
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    return _whole(value)


def _whole(value: Any) -> int | None:
    """A number of 64 bits without a fraction; None for anything else."""
    number = whole(value)
    return number if number is not None and fits_long(number) else None
