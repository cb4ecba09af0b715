"""Functions of a document's place among the others of its partition: ranks, shifts, what fills gaps, and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.arithmetic import add, divide, multiply, subtract
from shadow_adapters.bson.expression.values import kind_name, nullish
from shadow_adapters.bson.numbers import kind_of, whole
from shadow_adapters.bson.order import compare
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.partition import Compute, Partition, Windows
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

_FAILED_TO_PARSE: Final = 9
_TYPE_MISMATCH: Final = 14
_BY_ZERO: Final = 2


def rank(name: str, spec: Mapping[str, Any], sort: Mapping[str, Any] | None) -> Compute:
    """``$rank $denseRank $documentNumber``. Raises `CommandFailure` 5371601 to 5371603."""
    if spec[name] != {}:
        raise CommandFailure(5371603, f"{name} must be specified with '{{}}' as the value")
    if "window" in spec:
        raise CommandFailure(5371601, "Rank style window functions take no other arguments")
    if not sort or (len(sort) > 1 and name != "$documentNumber"):
        raise CommandFailure(
            5371602, f"{name} must be specified with a top level sortBy expression with exactly one element"
        )
    return lambda partition: _ranks(name, partition.keys)


def _ranks(name: str, keys: Sequence[bytes]) -> list[Any]:
    found: list[Any] = []
    for at, key in enumerate(keys):
        if name == "$documentNumber" or not at:
            found.append(at + 1)
        elif key == keys[at - 1]:
            found.append(found[-1])
        else:
            found.append(at + 1 if name == "$rank" else found[-1] + 1)
    return found


def shift(spec: Mapping[str, Any], sort: Mapping[str, Any] | None, scope: Scope) -> Compute:
    """``$shift``. Raises `CommandFailure` 9."""
    argument = spec["$shift"]
    if "window" in spec or not isinstance(argument, Mapping):
        raise CommandFailure(_FAILED_TO_PARSE, "$shift takes an object and no window")
    if any(name not in ("output", "by", "default") for name in argument):
        raise CommandFailure(_FAILED_TO_PARSE, "$shift got an unexpected argument")
    by = whole(argument.get("by"))
    if "output" not in argument or by is None:
        raise CommandFailure(_FAILED_TO_PARSE, "$shift requires 'output', and an integer as 'by'")
    if not sort:
        raise CommandFailure(_FAILED_TO_PARSE, "$shift requires a sortBy")
    output = compile_expression(argument["output"], scope.names)
    default = compile_expression(argument.get("default"), scope.names)
    if not default.constant:
        raise CommandFailure(_FAILED_TO_PARSE, "'$shift:default' expression must yield a constant value")
    return lambda partition: _shifted(output, by, default.evaluate({}), partition)


def _shifted(output: Expression, by: int, default: Any, partition: Partition) -> list[Any]:
    documents = partition.documents
    found = []
    for at in range(by, by + len(documents)):
        there = 0 <= at < len(documents)
        value = output.evaluate(documents[at], partition.variables) if there else default
        found.append(None if value is MISSING else value)
    return found


def carry_forward(spec: Mapping[str, Any], scope: Scope) -> Compute:
    """``$locf``: the last value that was neither null nor missing. Raises `CommandFailure` 9."""
    _no_window("$locf", spec)
    expression = compile_expression(spec["$locf"], scope.names)

    def compute(partition: Partition) -> list[Any]:
        found: list[Any] = []
        last: Any = None
        for value in partition.values(expression):
            last = last if nullish(value) else value
            found.append(last)
        return found

    return compute


def _no_window(name: str, spec: Mapping[str, Any]) -> None:
    if "window" in spec:
        raise CommandFailure(_FAILED_TO_PARSE, f"'window' field is not allowed in {name}")


def linear_fill(spec: Mapping[str, Any], sort: Mapping[str, Any] | None, scope: Scope) -> Compute:
    """``$linearFill``: between two numbers, those on the line that joins them.

    Raises `CommandFailure` 9, 605001; what is returned raises 14 and 6050106.
    """
    _no_window("$linearFill", spec)
    if sort is None or len(sort) != 1:
        raise CommandFailure(
            605001, "$linearFill must be specified with a top level sortBy expression with exactly one element"
        )
    expression = compile_expression(spec["$linearFill"], scope.names)
    place = compile_expression(f"${next(iter(sort))}")
    return lambda partition: _filled(partition.values(place), partition.values(expression))


def _filled(places: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    _check_line(places, values)
    found: list[Any] = [None if nullish(value) else value for value in values]
    known = [at for at, value in enumerate(found) if value is not None]
    for left, right in pairwise(known):
        if right - left > 1:
            slope = divide(subtract(found[right], found[left]), subtract(places[right], places[left]))
            for at in range(left + 1, right):
                found[at] = add(found[left], multiply(subtract(places[at], places[left]), slope))
    return found


def _check_line(places: Sequence[Any], values: Sequence[Any]) -> None:
    last: Any = MISSING
    for place, value in zip(places, values, strict=True):
        if not nullish(value) and kind_of(value) is None:
            raise CommandFailure(
                _TYPE_MISMATCH, f"Value to be filled must be numeric or nullish, but found {kind_name(value)}"
            )
        if kind_of(place) is None and not isinstance(place, DatetimeMS | Timestamp | ObjectId):
            raise CommandFailure(
                _TYPE_MISMATCH, f"Value of the sortBy field must be numeric or a date, but found {kind_name(place)}"
            )
        if last is not MISSING:
            if compare(place, last) == 0:
                raise CommandFailure(6050106, "There can be no repeated values in the sort field")
            if (kind_of(place) is None) is not (kind_of(last) is None):
                raise CommandFailure(_TYPE_MISMATCH, "Conflicting sort value types")
        last = place


def derivative(path: str, source: Any, unit: int | None, windows: Windows, scope: Scope) -> Compute:
    """``$derivative``: the rate from the first document of the window to its last, by what they are sorted by.

    What is returned raises `CommandFailure` 5624900 to 5624903.
    """
    expression, place = compile_expression(source, scope.names), compile_expression(f"${path}")

    def compute(partition: Partition) -> list[Any]:
        places, values = partition.values(place), partition.values(expression)
        return [
            _rate(places[start], values[start], places[end - 1], values[end - 1], unit) if end > start else None
            for start, end in windows(partition)
        ]

    return compute


def _rate(begin: Any, low: Any, end: Any, high: Any, unit: int | None) -> Any:
    dated = isinstance(begin, DatetimeMS), isinstance(end, DatetimeMS)
    if unit is not None and not all(dated):
        raise CommandFailure(5624900, "$derivative with 'unit' expects the sortBy field to be a Date")
    if unit is None and any(dated):
        raise CommandFailure(5624901, "$derivative where the sortBy is a Date requires an 'unit'")
    if unit is None and (kind_of(begin) is None or kind_of(end) is None):
        raise CommandFailure(5624902, "$derivative (with no 'unit') expects the sortBy field to be numeric")
    run, rise = subtract(end, begin), subtract(high, low)
    if rise is None:
        raise CommandFailure(5624903, "$derivative input must not be null or missing")
    try:
        rate = divide(rise, run)
    except CommandFailure as failure:
        if failure.code != _BY_ZERO:
            raise
        return None
    return rate if unit is None else multiply(rate, Int64(unit))
