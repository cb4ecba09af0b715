"""Spans of time: ``$dateAdd $dateSubtract $dateDiff $dateTrunc``, in any time zone."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.compiler import Compiler, Operator, Operators
from shadow_adapters.bson.expression.dates import Run, as_date, runs_of, zone
from shadow_adapters.bson.expression.node import Expression, Scope
from shadow_adapters.bson.expression.texts import date_of, moment_of
from shadow_adapters.bson.expression.values import is_text, kind_name, nullish
from shadow_adapters.bson.numbers import whole
from shadow_adapters.failures import CommandFailure

_ADD: Final = Parameters(
    {"startDate": 5166402, "unit": 5166402, "amount": 5166402}, ("timezone",), unknown=5166401, no_object=5166400
)
_DIFF: Final = Parameters(
    {"startDate": 5166303, "endDate": 5166304, "unit": 5166305},
    ("timezone", "startOfWeek"),
    unknown=5166302,
    no_object=5166301,
)
_TRUNC: Final = Parameters(
    {"date": 5439009, "unit": 5439010},
    ("binSize", "timezone", "startOfWeek"),
    unknown=5439008,
    no_object=5439007,
)
_MILLISECONDS: Final = {"millisecond": 1, "second": 1000, "minute": 60_000, "hour": 3_600_000}
_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
FIXED_UNITS: Final = {**_MILLISECONDS, "day": 86_400_000, "week": 604_800_000}
"""The milliseconds of the units that always have as many."""
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_REFERENCE: Final = datetime(2000, 1, 1)


def unit_of(value: Any, code: int) -> str:
    """The name of a unit of time. Raises `CommandFailure`: 9 for an unknown one, the code for what is no string."""
    if not is_text(value):
        raise CommandFailure(code, f"requires 'unit' to be a string, but got {kind_name(value)}")
    if value not in _MILLISECONDS and value not in _DAYS and value not in _MONTHS:
        raise CommandFailure(9, f"unknown time unit value: {value}")
    return str(value)


def _weekday(value: Any, code: int) -> int:
    """The first day of weeks; Sunday where none is given."""
    if not is_text(value):
        raise CommandFailure(code, f"requires 'startOfWeek' to be a string, but got {kind_name(value)}")
    given = str(value).lower()
    found = [number for number, day in enumerate(_WEEKDAYS) if given in (day, day[:3])]
    if not found:
        raise CommandFailure(9, f"unknown day of week value: {value}")
    return found[0]


def _adding(sign: int) -> Operator:
    def operator(name: str, argument: Any, compiler: Compiler) -> Expression:
        runs = runs_of(_ADD.compiled(name, argument, compiler))

        def run(scope: Scope) -> Any:
            start, unit, amount = (runs[each](scope) for each in ("startDate", "unit", "amount"))
            where = zone(runs.get("timezone"), scope)
            if nullish(start) or nullish(unit) or nullish(amount) or where is None:
                return None
            date = _date(name, start, 5166403)
            count = whole(amount)
            if count is None:
                raise CommandFailure(5166405, f"{name} expects integer amount of time units, got {kind_name(amount)}")
            return added(date, unit_of(unit, 5166404), sign * count, where)

        return Expression(run)

    return operator


def _date(name: str, value: Any, code: int) -> DatetimeMS:
    try:
        return as_date(value)
    except CommandFailure:
        raise CommandFailure(code, f"{name} requires a date, found {kind_name(value)}") from None


def added(date: DatetimeMS, unit: str, count: int, where: tzinfo) -> DatetimeMS:
    """A date and so many units. A day of the month that the month has not is its last. Raises `CommandFailure`."""
    if unit in _MILLISECONDS:
        moment_of(found := DatetimeMS(int(date) + count * _MILLISECONDS[unit]))
        return found
    local = moment_of(date, where).replace(tzinfo=None)
    try:
        moved = local + timedelta(days=count * _DAYS[unit]) if unit in _DAYS else _months(local, count * _MONTHS[unit])
        return date_of(moved.replace(tzinfo=where))
    except (OverflowError, ValueError):
        raise CommandFailure(5166406, f"a date of {count} {unit}s more is out of range") from None


def _months(local: datetime, count: int) -> datetime:
    months = local.year * 12 + local.month - 1 + count
    year, month = months // 12, months % 12 + 1
    return local.replace(year=year, month=month, day=min(local.day, monthrange(year, month)[1]))


def _diff(name: str, argument: Any, compiler: Compiler) -> Expression:
    runs = runs_of(_DIFF.compiled(name, argument, compiler))

    def run(scope: Scope) -> Any:
        start, end, unit = (runs[each](scope) for each in ("startDate", "endDate", "unit"))
        where, first = zone(runs.get("timezone"), scope), _first_day(runs, scope)
        if nullish(start) or nullish(end) or nullish(unit) or where is None or first is None:
            return None
        since, until = _date(name, start, 5166307), _date(name, end, 5166307)
        given = unit_of(unit, 5166306)
        return Int64(_index(until, given, where, first(5439015)) - _index(since, given, where, first(5439015)))

    return Expression(run)


def _first_day(runs: Mapping[str, Run], scope: Scope) -> Any:
    """What gives the first day of weeks, by the code of its error; None where it is null."""
    if "startOfWeek" not in runs:
        return lambda _: 6
    value = runs["startOfWeek"](scope)
    return None if nullish(value) else lambda code: _weekday(value, code)


def _index(date: DatetimeMS, unit: str, where: tzinfo, first: int) -> int:
    """The number of the unit that a date is in; two differ by the bounds between them."""
    local = moment_of(date, where).replace(tzinfo=None)
    if unit in _MONTHS:
        return (local.year * 12 + local.month - 1) // _MONTHS[unit]
    if unit in _DAYS:
        return (local.toordinal() - 1 - (first if unit == "week" else 0)) // _DAYS[unit]
    return (int(date) + _offset(local, where)) // _MILLISECONDS[unit]


def _offset(local: datetime, where: tzinfo) -> int:
    offset = local.replace(tzinfo=where).utcoffset() or timedelta()
    return offset // timedelta(milliseconds=1)


def _trunc(name: str, argument: Any, compiler: Compiler) -> Expression:
    runs = runs_of(_TRUNC.compiled(name, argument, compiler))

    def run(scope: Scope) -> Any:
        value, unit = runs["date"](scope), runs["unit"](scope)
        size = runs["binSize"](scope) if "binSize" in runs else 1
        where, first = zone(runs.get("timezone"), scope), _first_day(runs, scope)
        if nullish(value) or nullish(unit) or nullish(size) or where is None or first is None:
            return None
        date, given, count = _date(name, value, 5439012), unit_of(unit, 5439013), whole(size)
        if count is None:
            raise CommandFailure(5439017, f"{name} requires 'binSize' to be an integer, found {kind_name(size)}")
        if count <= 0:
            raise CommandFailure(5439018, f"{name} requires 'binSize' to be greater than 0, found {count}")
        return truncated(date, given, count, where, first(5439015))

    return Expression(run)


def truncated(date: DatetimeMS, unit: str, count: int, where: tzinfo, first: int) -> DatetimeMS:
    """The beginning of the bin of ``count`` units that a date is in; bins are counted from the year 2000 on."""
    local = moment_of(date, where).replace(tzinfo=None)
    if unit in _MILLISECONDS:
        size = count * _MILLISECONDS[unit]
        reference = int(date_of(_REFERENCE.replace(tzinfo=UTC))) - _offset(_REFERENCE, where)
        return DatetimeMS(int(date) - (int(date) - reference) % size)
    if unit in _DAYS:
        origin = _REFERENCE
        if unit == "week":
            origin += timedelta(days=(first - _REFERENCE.weekday()) % 7)
        days = (local - origin).days
        begin = origin + timedelta(days=days - days % (count * _DAYS[unit]))
    else:
        months = (local.year - _REFERENCE.year) * 12 + local.month - 1
        begin = _months(_REFERENCE, months - months % (count * _MONTHS[unit]))
    return date_of(begin.replace(tzinfo=where))


SPANS: Final[Operators] = {
    "$dateAdd": _adding(1),
    "$dateSubtract": _adding(-1),
    "$dateDiff": _diff,
    "$dateTrunc": _trunc,
}
