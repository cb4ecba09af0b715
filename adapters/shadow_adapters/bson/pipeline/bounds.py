"""``window``: how far it goes from each document, in documents or in what they are sorted by."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.expression import compile_expression
from shadow_adapters.bson.expression.spans import added, unit_of
from shadow_adapters.bson.expression.values import kind_name
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.numbers import CONTEXT, as_decimal, decimal128, fits_int, kind_of, whole
from shadow_adapters.bson.order import compare
from shadow_adapters.bson.pipeline.partition import Partition, Window, Windows
from shadow_adapters.failures import CommandFailure

_FAILED_TO_PARSE: Final = 9
_UNBOUNDED: Final = "unbounded"
_CURRENT: Final = "current"


def whole_partition(partition: Partition) -> Sequence[Window]:
    """The windows that are the partition."""
    count = len(partition.documents)
    return [(0, count)] * count


def up_to_current(partition: Partition) -> Sequence[Window]:
    """The windows from the partition's beginning to each document."""
    return [(0, at + 1) for at in range(len(partition.documents))]


def read_windows(window: Any, sort: Mapping[str, Any] | None) -> Windows:
    """What ``window`` says.

    Raises `CommandFailure`: 9, 5339900 for bounds the wrong way round, 5339901, 5339902 and 8947401 for what they ask
    of ``sortBy``; what is returned raises 5429413, 5429414 and 5429513 for a value that a range cannot go from.
    """
    if window is None:
        return whole_partition
    if not isinstance(window, Mapping):
        raise CommandFailure(_FAILED_TO_PARSE, "'window' field must be an object")
    if not window:
        return whole_partition
    if "documents" in window:
        if len(window) != 1:
            raise CommandFailure(_FAILED_TO_PARSE, "'window' field that specifies documents cannot have other fields")
        return _documents(_pair(window["documents"], _integer), sorted_by=bool(sort))
    if "range" not in window or not {"range", "unit"}.issuperset(window):
        raise CommandFailure(
            _FAILED_TO_PARSE, "'window' field can only contain 'documents' or 'range' with an optional 'unit'"
        )
    return _ranges(window, sort)


def _pair(bounds: Any, read: Callable[[Any], Any]) -> tuple[Any, Any]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise CommandFailure(_FAILED_TO_PARSE, "Window bounds must be a 2-element array")
    low, high = (_bound(value, read) for value in bounds)
    least, most = (0 if bound == _CURRENT else bound for bound in (low, high))
    if _UNBOUNDED not in (low, high) and compare(least, most) > 0:
        raise CommandFailure(5339900, f"Lower bound must not exceed upper bound: [{low}, {high}]")
    return low, high


def _bound(value: Any, read: Callable[[Any], Any]) -> Any:
    if isinstance(value, str):
        if value not in (_UNBOUNDED, _CURRENT):
            raise CommandFailure(_FAILED_TO_PARSE, "Window bounds must be 'unbounded', 'current', or a number.")
        return value
    expression = compile_expression(value)
    if not expression.constant:
        raise CommandFailure(_FAILED_TO_PARSE, "Window bounds expression must be a constant.")
    return read(expression.evaluate({}))


def _integer(value: Any) -> int:
    number = whole(value)
    if number is None or not fits_int(number):
        raise CommandFailure(_FAILED_TO_PARSE, "Numeric document-based bounds must be an integer")
    return number


def _number(value: Any) -> Any:
    if kind_of(value) is None:
        raise CommandFailure(_FAILED_TO_PARSE, "Range-based bounds expression must be a number")
    return value


def _documents(bounds: tuple[Any, Any], *, sorted_by: bool) -> Windows:
    low, high = (0 if bound == _CURRENT else bound for bound in bounds)
    if low == high == _UNBOUNDED:
        return whole_partition
    if not sorted_by:
        raise CommandFailure(5339901, "Document-based bounds require a sortBy")

    def windows(partition: Partition) -> Sequence[Window]:
        count = len(partition.documents)
        found = []
        for at in range(count):
            start = 0 if low == _UNBOUNDED else min(max(0, at + low), count)
            end = count if high == _UNBOUNDED else min(max(start, at + high + 1), count)
            found.append((start, end))
        return found

    return windows


def _ranges(window: Mapping[str, Any], sort: Mapping[str, Any] | None) -> Windows:
    unit: str | None = None
    if "unit" in window:
        if not isinstance(window["unit"], str):
            raise CommandFailure(_FAILED_TO_PARSE, "'unit' must be a string")
        low, high = _pair(window["range"], _integer)
        unit = unit_of(window["unit"], _FAILED_TO_PARSE)
    else:
        low, high = _pair(window["range"], _number)
    if sort is None or len(sort) != 1:
        raise CommandFailure(5339902, "Range-based bounds require sortBy a single field")
    ((path, direction),) = sort.items()
    if direction != 1:
        raise CommandFailure(8947401, "Range-based bounds require an ascending sortBy")
    field = compile_expression(f"${path}")

    def windows(partition: Partition) -> Sequence[Window]:
        values = partition.values(field)
        for value in values:
            _check(value, unit)
        keys = [encode(value) for value in values]
        found = []
        for at, value in enumerate(values):
            start, end = 0, len(values)
            if low != _UNBOUNDED:
                start = at if low == _CURRENT else bisect_left(keys, encode(_moved(value, low, unit)))
            if high != _UNBOUNDED:
                end = at + 1 if high == _CURRENT else bisect_right(keys, encode(_moved(value, high, unit)))
            found.append((start, max(start, end)))
        return found

    return windows


def _check(value: Any, unit: str | None) -> None:
    """Whether a range can go from a value. Raises `CommandFailure`."""
    dated = isinstance(value, DatetimeMS)
    if unit is not None and not dated:
        raise CommandFailure(
            5429513, f"Invalid range: Expected the sortBy field to be a Date, but it was {kind_name(value)}"
        )
    if unit is None and dated:
        raise CommandFailure(
            5429413, "Invalid range: For windows that involve date or time ranges, a unit must be provided."
        )
    if unit is None and kind_of(value) is None:
        raise CommandFailure(
            5429414, f"Invalid range: Expected the sortBy field to be a number, but it was {kind_name(value)}"
        )


def _moved(value: Any, by: Any, unit: str | None) -> Any:
    """A date so many units on, or a sum as a decimal, in which doubles are what they look like."""
    if unit is not None:
        return added(value, unit, by, UTC)
    return decimal128(CONTEXT.add(as_decimal(value), as_decimal(by)))
