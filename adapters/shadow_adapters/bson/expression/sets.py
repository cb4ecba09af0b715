"""Arrays as sets: order and repetition do not count. Unions and intersections come in BSON's order."""

from __future__ import annotations

from typing import Any, Final

from shadow_adapters.bson.expression.arguments import fixed, variadic
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.node import Expression, applied
from shadow_adapters.bson.expression.values import array, key, nullish, truth
from shadow_adapters.failures import CommandFailure

_Set = dict[bytes, Any]


def _set(values: Any, code: int, name: str) -> _Set:
    found: _Set = {}
    for value in array(values, code, f"All operands of {name} must be arrays"):
        found.setdefault(key(value), value)
    return found


def _ordered(values: _Set) -> list[Any]:
    return [values[found] for found in sorted(values)]


def _union(*arrays: Any) -> Any:
    if any(map(nullish, arrays)):
        return None
    united: _Set = {}
    for values in arrays:
        united = _set(values, 17043, "$setUnion") | united
    return _ordered(united)


def _intersection(*arrays: Any) -> Any:
    if any(map(nullish, arrays)):
        return None
    sets = [_set(values, 17047, "$setIntersection") for values in arrays]
    common = {found: value for found, value in sets[0].items() if all(found in s for s in sets)} if sets else {}
    return _ordered(common)


def _difference(left: Any, right: Any) -> Any:
    if nullish(left) or nullish(right):
        return None
    kept, removed = _set(left, 17048, "$setDifference"), _set(right, 17049, "$setDifference")
    return [value for found, value in kept.items() if found not in removed]


def _is_subset(left: Any, right: Any) -> bool:
    return _set(left, 17046, "$setIsSubset").keys() <= _set(right, 17042, "$setIsSubset").keys()


def _equals(name: str, argument: Any, compiler: Compiler) -> Expression:
    operands = compiler.operands(argument)
    if len(operands) < 2:
        raise CommandFailure(17045, f"$setEquals needs at least two arguments had: {len(operands)}")
    return applied(_all_equal, operands)


def _all_equal(*arrays: Any) -> bool:
    first, *others = [_set(values, 17044, "$setEquals").keys() for values in arrays]
    return all(other == first for other in others)


SETS: Final[Operators] = {
    "$setUnion": variadic(_union),
    "$setIntersection": variadic(_intersection),
    "$setDifference": fixed(_difference, 2),
    "$setIsSubset": fixed(_is_subset, 2),
    "$setEquals": _equals,
    "$anyElementTrue": fixed(
        lambda values: any(map(truth, array(values, 17041, "$anyElementTrue's argument must be an array"))), 1
    ),
    "$allElementsTrue": fixed(
        lambda values: all(map(truth, array(values, 17040, "$allElementsTrue's argument must be an array"))), 1
    ),
}
