"""``$densify``: documents in the place of those that are missing at even steps of a number or a date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.arithmetic import add
from shadow_adapters.bson.expression.spans import added, unit_of
from shadow_adapters.bson.expression.values import nullish
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.numbers import fits_long, kind_of, whole
from shadow_adapters.bson.order import compare, compile_sort
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.pipeline.flow import Context, Document, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.sort import Ordered, SortKey
from shadow_adapters.bson.projection.paths import field_path
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_TYPE_MISMATCH: Final = 14
_MAX_GENERATED: Final = 500_000
"""``internalQueryMaxAllowedDensifyDocs``."""
_FULL: Final = "full"
_PARTITION: Final = "partition"


@dataclass(frozen=True, slots=True)
class _Range:
    """The steps: how far one goes, and in which unit of time; from where to where, or `_FULL` or `_PARTITION`."""

    step: Any
    unit: str | None
    bounds: tuple[Any, Any] | str

    def next(self, value: Any) -> Any:
        """A step on from a value."""
        return add(value, self.step) if self.unit is None else added(value, self.unit, whole(self.step) or 0, UTC)

    def check(self, value: Any) -> None:
        """Whether steps go from a value. Raises `CommandFailure` 5733201, 6053600."""
        dated = isinstance(value, DatetimeMS)
        if not dated and kind_of(value) is None:
            raise CommandFailure(5733201, f"Densify field type must be numeric or a date, not {type_name(value)}")
        if dated is (self.unit is None):
            raise CommandFailure(
                6053600, "$densify steps over dates with a unit, and over numbers without one, which is not so here"
            )


def densify(name: str, spec: Any, scope: Scope) -> Stage:
    """``$densify``.

    Raises `CommandFailure`: 9, 14, 40414, 40415 for the specification's form, and for its range 5733401 to 5733410,
    5876900, 5946800, 5946802 and 6586400. The run fails (5897900) where it makes more than 500,000 documents.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, f"The {name} stage specification must be an object, found {type_name(spec)}")
    _check_fields(name, spec, ("field", "range"), ("partitionByFields",))
    field, partitions = spec["field"], spec.get("partitionByFields", [])
    _check_type(name, "field", field, str)
    _check_type(name, "partitionByFields", partitions, list)
    for each in partitions:
        _check_type(name, "partitionByFields", each, str)
    range = _read_range(name, spec["range"])
    for path in (*partitions, field):
        field_path(path)
    if any(f"{field}.".startswith(f"{each}.") for each in partitions):
        raise CommandFailure(8993000, "'partitionByFields' contains the field that is being densified")
    if range.bounds == _PARTITION and not partitions:
        raise CommandFailure(
            5733408, "One cannot specify the bounds as 'partition' without specifying partitionByFields"
        )
    sorted_by = [field] if range.bounds == _FULL else [*partitions, field]
    sort = compile_sort(dict.fromkeys(sorted_by, 1))
    partition = compile_expression(_nested(partitions))
    return Stage(name, lambda context: _Densify(field.split("."), partition, range, sort, context))


def _check_fields(name: str, spec: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    for option in spec:
        if option not in required and option not in optional:
            raise CommandFailure(40415, f"BSON field '{name}.{option}' is an unknown field.")
    for option in required:
        if option not in spec:
            raise CommandFailure(40414, f"BSON field '{name}.{option}' is missing but a required field")


def _check_type(name: str, option: str, value: Any, wanted: type) -> None:
    if not isinstance(value, wanted):
        raise CommandFailure(_TYPE_MISMATCH, f"BSON field '{name}.{option}' is the wrong type '{type_name(value)}'")


def _nested(paths: list[str]) -> Document:
    """The expression of the document that has these paths alone."""
    found: Document = {}
    for path in paths:
        *outer, last = path.split(".")
        place = found
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = f"${path}"
    return found


def _read_range(name: str, spec: Any) -> _Range:
    if not isinstance(spec, Mapping):
        raise CommandFailure(_TYPE_MISMATCH, f"BSON field '{name}.range' is the wrong type '{type_name(spec)}'")
    _check_fields(f"{name}.range", spec, ("step", "bounds"), ("unit",))
    step, unit = spec["step"], spec.get("unit")
    if kind_of(step) is None or compare(step, 0) <= 0:
        raise CommandFailure(
            5733401, "The step parameter in a range statement must be a strictly positive numeric value"
        )
    if unit is not None:
        count = whole(step)
        if count is None or not fits_long(count):
            raise CommandFailure(
                6586400, "The step parameter in a range statement must be a whole number when densifying a date range"
            )
        unit = unit_of(unit, _TYPE_MISMATCH)
    return _Range(step, unit, _read_bounds(spec["bounds"], step, unit))


def _read_bounds(bounds: Any, step: Any, unit: str | None) -> tuple[Any, Any] | str:
    if isinstance(bounds, str):
        if bounds not in (_FULL, _PARTITION):
            raise CommandFailure(5946802, "Bounds string must either be 'full' or 'partition'")
        return bounds
    if not isinstance(bounds, list | tuple):
        raise CommandFailure(5733404, "The bounds must be 'full', 'partition', or an array of two numbers or dates")
    if len(bounds) != 2:
        raise CommandFailure(5733403, "A bounding array in a range statement must have exactly two elements")
    low, high = bounds
    if compare(low, high) > 0:
        raise CommandFailure(5733402, "A bounding array must be an ascending array of two dates or two numbers")
    if kind_of(low) is not None:
        _check_numbers(low, high, step, unit)
    elif isinstance(low, DatetimeMS):
        if not isinstance(high, DatetimeMS):
            raise CommandFailure(5733405, "A bounding array must contain either both dates or both numeric types")
        if unit is None:
            raise CommandFailure(5733410, "A bounding array of dates must specify a unit")
    else:
        raise CommandFailure(5946800, "Explicit bounds must be numeric or dates")
    return low, high


def _check_numbers(low: Any, high: Any, step: Any, unit: str | None) -> None:
    if unit is not None:
        raise CommandFailure(5733409, "Numeric bounds may not have unit parameter")
    if kind_of(high) is None:
        raise CommandFailure(5733406, "A bounding array must contain either both dates or both numeric types")
    if not kind_of(low) == kind_of(high) == kind_of(step):
        raise CommandFailure(5876900, "Upper bound, lower bound, and step must all have the same type")


@dataclass(slots=True)
class _Partition:
    """What generated documents have in common, and the next value at which one is due."""

    document: Document
    due: Any


class _Densify(Ordered):
    def __init__(self, path: list[str], partition: Expression, range: _Range, sort: SortKey, context: Context) -> None:
        super().__init__("$densify", sort, context)
        self._path = path
        self._partition = partition
        self._range = range
        self._variables = context.variables
        self._generated = 0

    def made(self, documents: list[Document]) -> Iterator[Document]:
        bounds = self._range.bounds
        explicit = bounds if isinstance(bounds, tuple) else None
        partitions: dict[bytes, _Partition] = {}
        if explicit and self._partition.constant:  # without partitions the range is made where there are no documents
            partitions[encode({})] = _Partition({}, explicit[0])
        least: Any = MISSING
        greatest: Any = MISSING
        for document in documents:
            value = self._value(document)
            if nullish(value):
                yield document
                continue
            self._range.check(value)
            least, greatest = (value if least is MISSING else least), value
            shared = self._partition.evaluate(document, self._variables)
            start = explicit[0] if explicit else least if bounds == _FULL else value
            partition = partitions.setdefault(encode(shared), _Partition(shared, start))
            yield from self._made(partition, explicit[1] if explicit and compare(value, explicit[1]) > 0 else value)
            if compare(partition.due, value) == 0:
                partition.due = self._range.next(partition.due)
            yield document
        for partition in partitions.values():
            if explicit:
                yield from self._made(partition, explicit[1])
            elif bounds == _FULL:
                yield from self._made(partition, greatest, inclusive=True)

    def _value(self, document: Document) -> Any:
        value: Any = document
        for part in self._path:
            inner = None if value is MISSING else as_document(value)
            value = MISSING if inner is None else inner.get(part, MISSING)
        return value

    def _made(self, partition: _Partition, end: Any, *, inclusive: bool = False) -> Iterator[Document]:
        """Documents at the steps of a partition that are due before a value, or there too."""
        while (order := compare(partition.due, end)) < 0 or (inclusive and order == 0):
            self._generated += 1
            if self._generated > _MAX_GENERATED:
                raise CommandFailure(
                    5897900,
                    f"Generated {self._generated} documents in $densify, which is over the limit of {_MAX_GENERATED}",
                )
            yield _with(partition.document, self._path, partition.due)
            partition.due = self._range.next(partition.due)


def _with(document: Document, path: list[str], value: Any) -> Document:
    """A copy of a partition's document with a value at a path."""
    name, *rest = path
    return {**document, name: _with(document.get(name, {}), rest, value) if rest else value}
