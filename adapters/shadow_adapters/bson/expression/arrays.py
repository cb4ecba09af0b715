"""Operators that take an array as a whole, or some of its elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters, between, by_name, fixed, variadic
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.fields import follow
from shadow_adapters.bson.expression.limited import LIMITED, limit
from shadow_adapters.bson.expression.node import Expression, applied, present
from shadow_adapters.bson.expression.values import array, int32, key, kind_name, nullish
from shadow_adapters.bson.keys import invert
from shadow_adapters.bson.numbers import kind_of
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.failures import CommandFailure

_MEMORY: Final = 100 * 1024 * 1024
_BYTES_OF_VALUE: Final = 16
_SORT_ARRAY: Final = Parameters({"input": 2942502, "sortBy": 2942503}, (), unknown=2942501, no_object=2942500)
_UNREACHABLE: Final = 1 << 62


def check_length(name: str, length: int) -> None:
    """Raises `CommandFailure` 146 for an array that takes more memory than an expression may."""
    if length * _BYTES_OF_VALUE > _MEMORY:
        raise CommandFailure(
            146,
            f"{name} would use too much memory ({length * _BYTES_OF_VALUE} bytes) and cannot spill to disk. Memory "
            f"limit: {_MEMORY} bytes",
        )


def _element_at(values: Any, index: Any) -> Any:
    if nullish(values) or nullish(index):
        return None
    if not isinstance(values, list):
        raise CommandFailure(28689, f"$arrayElemAt's first argument must be an array, but is {kind_name(values)}")
    if kind_of(index) is None:
        raise CommandFailure(28690, f"$arrayElemAt's second argument must be numeric, but is {kind_name(index)}")
    at = int32(index, 28691, "$arrayElemAt's second argument must be representable as a 32-bit integer")
    return values[at] if -len(values) <= at < len(values) else MISSING


def _end(name: str, at: int) -> Callable[[Any], Any]:
    def function(values: Any) -> Any:
        if nullish(values):
            return None
        found = array(values, 28689, f"{name}'s argument must be an array")
        return found[at] if found else MISSING

    return function


def _concat(*arrays: Any) -> Any:
    result: list[Any] = []
    for values in arrays:
        if nullish(values):
            return None
        result += array(values, 28664, "$concatArrays only supports arrays")
        check_length("$concatArrays", len(result))
    return result


def _in(value: Any, values: Any) -> bool:
    found = array(values, 40081, "$in requires an array as a second argument")
    wanted = key(value)
    return any(key(item) == wanted for item in found)


def bound(value: Any, default: int) -> int:
    """An index where a search begins or ends. Raises `CommandFailure`."""
    if value is MISSING:
        return default
    index = int32(value, 40096, "requires an integral index")
    if index < 0:
        raise CommandFailure(40097, f"requires a nonnegative index, found: {index}")
    return index


def _index_of(values: Any, value: Any, start: Any = MISSING, end: Any = MISSING) -> Any:
    if nullish(values):
        return None
    found = array(values, 40090, "$indexOfArray requires an array as a first argument")
    first, last = bound(start, 0), bound(end, _UNREACHABLE)
    wanted = key(value)
    return next((first + at for at, item in enumerate(found[first:last]) if key(item) == wanted), -1)


def _range(start: Any, end: Any, step: Any = 1) -> list[int]:
    numbers = []
    for value, name, code in ((start, "starting", 34443), (end, "ending", 34445), (step, "step", 34447)):
        if kind_of(value) is None:
            raise CommandFailure(
                code, f"$range requires a numeric {name} value, found value of type: {kind_name(value)}"
            )
        numbers.append(int32(value, code + 1, f"$range requires a {name} value that is a 32-bit integer"))
    if numbers[2] == 0:
        raise CommandFailure(34449, "$range requires a non-zero step value")
    steps = range(*numbers)
    check_length("$range", len(steps))
    return list(steps)


def _reverse(values: Any) -> Any:
    return None if nullish(values) else array(values, 34435, "The argument to $reverseArray must be an array")[::-1]


def _slice(values: Any, first: Any, *rest: Any) -> Any:
    if nullish(values) or nullish(first) or any(map(nullish, rest)):
        return None
    found = array(values, 28724, "First argument to $slice must be an array")
    if kind_of(first) is None:
        raise CommandFailure(28725, f"Second argument to $slice must be numeric, but is of type: {kind_name(first)}")
    at = int32(first, 28726, "Second argument to $slice can't be represented as a 32-bit integer")
    if not rest:
        return found[:at] if at >= 0 else found[at:]
    if kind_of(rest[0]) is None:
        raise CommandFailure(28727, f"Third argument to $slice must be numeric, but is of type: {kind_name(rest[0])}")
    count = int32(rest[0], 28728, "Third argument to $slice can't be represented as a 32-bit integer")
    if count <= 0:
        raise CommandFailure(28729, f"Third argument to $slice must be positive: {count}")
    start = max(0, len(found) + at) if at < 0 else at
    return found[start : start + count]


def _limited(pick: Callable[[list[Any], int], list[Any]]) -> Callable[..., Any]:
    def function(*, n: Any, input: Any) -> Any:
        return pick(array(input, 5788200, "Input must be an array"), limit(n))

    return function


def _least(values: list[Any], n: int) -> list[Any]:
    return sorted((value for value in values if value is not None), key=key)[:n]


def _greatest(values: list[Any], n: int) -> list[Any]:
    return sorted((value for value in values if value is not None), key=lambda value: invert(key(value)))[:n]


def _sort(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _SORT_ARRAY.read(name, argument)
    order = _order(fields["sortBy"])

    def function(values: Any) -> Any:
        if nullish(values):
            return None
        return sorted(array(values, 2942504, "The input argument to $sortArray must be an array"), key=order)

    return applied(function, [compiler.compile(fields["input"])])


def _order(spec: Any) -> Callable[[Any], bytes]:
    if not isinstance(spec, Mapping):
        return (lambda value: invert(key(value))) if _descends(spec) else key
    if not spec:
        raise CommandFailure(2729101, "sort key pattern must not be empty")
    parts = [(tuple(name.split(".")), _descends(direction)) for name, direction in spec.items()]
    whole_descends = parts[0][1]

    def order(value: Any) -> bytes:
        if as_document(value) is None:
            return invert(key(value)) if whole_descends else key(value)
        keys = [(key(present(follow(value, path))), down) for path, down in parts]
        return b"".join(invert(found) if down else found for found, down in keys)

    return order


def _descends(direction: Any) -> bool:
    if isinstance(direction, bool) or direction not in (1, -1):
        raise CommandFailure(2, "$sortArray's sortBy must be 1, -1 or an object of these")
    return bool(direction == -1)


ARRAYS: Final[Operators] = {
    "$arrayElemAt": fixed(_element_at, 2),
    "$concatArrays": variadic(_concat),
    "$first": fixed(_end("$first", 0), 1),
    "$last": fixed(_end("$last", -1), 1),
    "$firstN": by_name(_limited(lambda values, n: values[:n]), LIMITED),
    "$lastN": by_name(_limited(lambda values, n: values[-n:]), LIMITED),
    "$minN": by_name(_limited(_least), LIMITED),
    "$maxN": by_name(_limited(_greatest), LIMITED),
    "$in": fixed(_in, 2),
    "$indexOfArray": between(_index_of, 2, 4),
    "$isArray": fixed(lambda value: isinstance(value, list), 1),
    "$range": between(_range, 2, 3),
    "$reverseArray": fixed(_reverse, 1),
    "$size": fixed(lambda values: len(array(values, 17124, "The argument to $size must be an array")), 1),
    "$slice": between(_slice, 2, 3),
    "$sortArray": _sort,
}
