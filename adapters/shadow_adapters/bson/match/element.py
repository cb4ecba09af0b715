"""``$exists``: whether a path leads to a value at all."""

from __future__ import annotations

from typing import Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.match.test import Leaf, Not, Test
from shadow_adapters.bson.paths import MISSING


def exists(argument: Any) -> Test:
    """``$exists``: true for null too; on any truthy argument, as MongoDB reads truth."""
    present = Leaf(lambda value: value is not MISSING)
    return present if truthy(argument) else Not(present)


def truthy(value: Any) -> bool:
    """MongoDB's truth: null, false and the number zero are false, all else is true."""
    if isinstance(value, Decimal128):
        return bool(value.to_decimal())
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    return True
