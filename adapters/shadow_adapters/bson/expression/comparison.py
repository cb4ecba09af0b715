"""``$cmp $eq $gt $gte $lt $lte $ne``: by BSON's order of all values, without brackets around types."""

from __future__ import annotations

from typing import Final

from shadow_adapters.bson.expression.arguments import fixed
from shadow_adapters.bson.expression.compiler import Operators
from shadow_adapters.bson.expression.values import compare

COMPARISON: Final[Operators] = {
    "$cmp": fixed(compare, 2),
    "$eq": fixed(lambda left, right: compare(left, right) == 0, 2),
    "$ne": fixed(lambda left, right: compare(left, right) != 0, 2),
    "$gt": fixed(lambda left, right: compare(left, right) > 0, 2),
    "$gte": fixed(lambda left, right: compare(left, right) >= 0, 2),
    "$lt": fixed(lambda left, right: compare(left, right) < 0, 2),
    "$lte": fixed(lambda left, right: compare(left, right) <= 0, 2),
}
