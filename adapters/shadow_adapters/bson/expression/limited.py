"""``n`` of ``$firstN`` and its like: how many values are wanted at most."""

from __future__ import annotations

from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.values import kind_name
from shadow_adapters.bson.numbers import fits_long, kind_of, whole
from shadow_adapters.failures import CommandFailure

LIMITED: Final = Parameters({"n": 5787906, "input": 5787907}, (), unknown=5787901, no_object=5787801)


def limit(value: Any) -> int:
    """``n`` as a positive whole number. Raises `CommandFailure`."""
    if kind_of(value) is None:
        raise CommandFailure(5787902, f"Value for 'n' must be of integral type, but found {kind_name(value)}")
    number = whole(value)
    if number is None or not fits_long(number):
        raise CommandFailure(5787903, "Value for 'n' must be of integral type")
    if number <= 0:
        raise CommandFailure(5787908, f"'n' must be greater than 0, found {number}")
    return number
