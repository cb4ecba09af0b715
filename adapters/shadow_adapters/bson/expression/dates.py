"""Dates: their parts, dates of parts, and dates as text, in any time zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.compiler import Compiler, Operator, Operators
from shadow_adapters.bson.expression.node import Expression, Scope
from shadow_adapters.bson.expression.texts import date_of, moment_of, parsed_date, zone_of
from shadow_adapters.bson.expression.values import kind_name, nullish, text
from shadow_adapters.bson.numbers import whole
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

Run = Callable[[Scope], Any]

_PART: Final = Parameters({"date": 40539}, ("timezone",), unknown=40535, no_object=40535)
_TO_PARTS: Final = Parameters({"date": 40522}, ("timezone", "iso8601"), unknown=40520, no_object=40524)
_TO_STRING: Final = Parameters({"date": 18628}, ("format", "timezone", "onNull"), unknown=18534, no_object=18629)
_FROM_STRING: Final = Parameters(
    {"dateString": 40542}, ("format", "timezone", "onError", "onNull"), unknown=40541, no_object=40540
)
_FROM_PARTS: Final = Parameters(
    {},
    (
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "isoWeekYear",
        "isoWeek",
        "isoDayOfWeek",
        "timezone",
    ),
    unknown=40518,
    no_object=40519,
)
_DEFAULT_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%L"


def _week(moment: datetime) -> int:
    """The week of the year, which begins with a Sunday; before the first Sunday it is 0."""
    return int(moment.strftime("%U"))


_PARTS: Final[Mapping[str, Callable[[datetime], Any]]] = {
    "$year": lambda moment: moment.year,
    "$month": lambda moment: moment.month,
    "$dayOfMonth": lambda moment: moment.day,
    "$dayOfWeek": lambda moment: moment.isoweekday() % 7 + 1,
    "$dayOfYear": lambda moment: moment.timetuple().tm_yday,
    "$hour": lambda moment: moment.hour,
    "$minute": lambda moment: moment.minute,
    "$second": lambda moment: moment.second,
    "$millisecond": lambda moment: moment.microsecond // 1000,
    "$week": _week,
    "$isoWeek": lambda moment: moment.isocalendar().week,
    "$isoWeekYear": lambda moment: Int64(moment.isocalendar().year),
    "$isoDayOfWeek": lambda moment: moment.isoweekday(),
}


def as_date(value: Any) -> DatetimeMS:
    """A date, a timestamp or an ObjectId as a date. Raises `CommandFailure` 16006."""
    if isinstance(value, DatetimeMS):
        return value
    if isinstance(value, Timestamp):
        return DatetimeMS(value.time * 1000)
    if isinstance(value, ObjectId):
        return DatetimeMS(int(value.generation_time.timestamp()) * 1000)
    raise CommandFailure(16006, f"can't convert from BSON type {kind_name(value)} to Date")


def zone(run: Run | None, scope: Scope) -> tzinfo | None:
    """The time zone of a parameter: UTC where it is not given, None where it is null. Raises `CommandFailure`."""
    if run is None:
        return UTC
    value = run(scope)
    return None if nullish(value) else zone_of(text(value, 40517, "timezone must evaluate to a string"))


def runs_of(fields: Mapping[str, Expression]) -> dict[str, Run]:
    """What runs each parameter."""
    return {name: expression.run for name, expression in fields.items()}


def _part(name: str, argument: Any, compiler: Compiler) -> Expression:
    part = _PARTS[name]
    if isinstance(argument, Mapping) and not next(iter(argument), "").startswith("$"):
        runs = runs_of(_PART.compiled(name, argument, compiler))
    else:
        operands = compiler.operands(argument)
        if len(operands) != 1:
            raise CommandFailure(40536, f"{name} accepts exactly one argument if given an array")
        runs = {"date": operands[0].run}

    def run(scope: Scope) -> Any:
        value, where = runs["date"](scope), zone(runs.get("timezone"), scope)
        return None if nullish(value) or where is None else part(moment_of(as_date(value), where))

    return Expression(run)


def _to_parts(name: str, argument: Any, compiler: Compiler) -> Expression:
    runs = runs_of(_TO_PARTS.compiled(name, argument, compiler))

    def run(scope: Scope) -> Any:
        value, where = runs["date"](scope), zone(runs.get("timezone"), scope)
        iso = runs["iso8601"](scope) if "iso8601" in runs else False
        if nullish(value) or where is None or nullish(iso):
            return None
        if not isinstance(iso, bool):
            raise CommandFailure(40521, f"iso8601 must evaluate to a bool, found {kind_name(iso)}")
        moment = moment_of(as_date(value), where)
        week = moment.isocalendar()
        days = (
            {"isoWeekYear": week.year, "isoWeek": week.week, "isoDayOfWeek": week.weekday}
            if iso
            else {"year": moment.year, "month": moment.month, "day": moment.day}
        )
        clock = {"hour": moment.hour, "minute": moment.minute, "second": moment.second}
        return {**days, **clock, "millisecond": moment.microsecond // 1000}

    return Expression(run)


def _from_parts(name: str, argument: Any, compiler: Compiler) -> Expression:
    runs = runs_of(_FROM_PARTS.compiled(name, argument, compiler))
    weekly = any(part.startswith("iso") for part in runs)
    if weekly and any(part in runs for part in ("year", "month", "day")):
        raise CommandFailure(40489, f"{name} does not allow mixing natural dates with ISO dates")
    if not weekly and "year" not in runs:
        raise CommandFailure(40516, f"{name} requires either 'year' or 'isoWeekYear' to be present")
    if weekly and "isoWeekYear" not in runs:
        raise CommandFailure(40516, f"{name} requires either 'year' or 'isoWeekYear' to be present")

    def run(scope: Scope) -> Any:
        where = zone(runs.get("timezone"), scope)
        values = {part: _whole_part(part, each(scope)) for part, each in runs.items() if part != "timezone"}
        if where is None or None in values.values():
            return None
        return _made(values, where, weekly=weekly)

    return Expression(run)


def _whole_part(part: str, value: Any) -> int | None:
    if nullish(value):
        return None
    number = whole(value)
    if number is None:
        raise CommandFailure(40515, f"'{part}' must evaluate to an integer, found {kind_name(value)}")
    bounds = (1, 9999) if part in ("year", "isoWeekYear") else (-32768, 32767)
    if not bounds[0] <= number <= bounds[1] and part not in ("second", "millisecond"):
        raise CommandFailure(40523 if part in ("year", "isoWeekYear") else 31034, f"'{part}' is out of range: {number}")
    return number


def _made(values: Mapping[str, Any], where: tzinfo, *, weekly: bool) -> DatetimeMS:
    """The date of parts, each of which carries over into the next where it is too large or too small."""
    try:
        if weekly:
            first = datetime.fromisocalendar(values["isoWeekYear"], 1, 1)
            day = first + timedelta(weeks=values.get("isoWeek", 1) - 1, days=values.get("isoDayOfWeek", 1) - 1)
        else:
            months = values["year"] * 12 + values.get("month", 1) - 1
            day = datetime(months // 12, months % 12 + 1, 1) + timedelta(days=values.get("day", 1) - 1)
        day += timedelta(
            hours=values.get("hour", 0),
            minutes=values.get("minute", 0),
            seconds=values.get("second", 0),
            milliseconds=values.get("millisecond", 0),
        )
        return date_of(day.replace(tzinfo=where))
    except (OverflowError, ValueError):
        raise CommandFailure(40523, "the date of these parts is out of range") from None


_DIRECTIVES: Final[Mapping[str, Callable[[datetime], str]]] = {
    "%": lambda _: "%",
    "Y": lambda moment: f"{moment.year:04}",
    "m": lambda moment: f"{moment.month:02}",
    "d": lambda moment: f"{moment.day:02}",
    "H": lambda moment: f"{moment.hour:02}",
    "M": lambda moment: f"{moment.minute:02}",
    "S": lambda moment: f"{moment.second:02}",
    "L": lambda moment: f"{moment.microsecond // 1000:03}",
    "j": lambda moment: f"{moment.timetuple().tm_yday:03}",
    "w": lambda moment: str(moment.isoweekday() % 7 + 1),
    "u": lambda moment: str(moment.isoweekday()),
    "U": lambda moment: f"{_week(moment):02}",
    "V": lambda moment: f"{moment.isocalendar().week:02}",
    "G": lambda moment: f"{moment.isocalendar().year:04}",
    "b": lambda moment: moment.strftime("%b"),
    "B": lambda moment: moment.strftime("%B"),
    "z": lambda moment: moment.strftime("%z"),
    "Z": lambda moment: str(int((moment.utcoffset() or timedelta()).total_seconds()) // 60),
}


def _formatted(moment: datetime, format: str) -> str:
    """Raises `CommandFailure` 18535, 18536 for a format that is none."""
    parts = []
    at = 0
    while at < len(format):
        if format[at] != "%":
            parts.append(format[at])
            at += 1
            continue
        if at + 1 == len(format):
            raise CommandFailure(18535, "Unmatched '%' at end of format string")
        directive = _DIRECTIVES.get(format[at + 1])
        if directive is None:
            raise CommandFailure(18536, f"Invalid format character '%{format[at + 1]}' in format string")
        parts.append(directive(moment))
        at += 2
    return "".join(parts)


def _to_string(name: str, argument: Any, compiler: Compiler) -> Expression:
    runs = runs_of(_TO_STRING.compiled(name, argument, compiler))

    def run(scope: Scope) -> Any:
        value, where = runs["date"](scope), zone(runs.get("timezone"), scope)
        format = runs["format"](scope) if "format" in runs else MISSING
        if format is not MISSING and format is not None:
            format = text(format, 18533, "$dateToString requires that 'format' be a string")
        if nullish(value):
            return runs["onNull"](scope) if "onNull" in runs else None
        if where is None or format is None:
            return None
        if format is MISSING:
            format = _DEFAULT_FORMAT + ("Z" if where is UTC else "")
        return _formatted(moment_of(as_date(value), where), format)

    return Expression(run)


def _from_string(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _FROM_STRING.compiled(name, argument, compiler)
    if "format" in fields:
        raise CommandFailure(115, f"{name} with a format is not served", unsupported=f"{name} format")
    runs = runs_of(fields)

    def run(scope: Scope) -> Any:
        value, where = runs["dateString"](scope), zone(runs.get("timezone"), scope)
        if nullish(value):
            return runs["onNull"](scope) if "onNull" in runs else None
        if where is None:
            return None
        date = parsed_date(value, where) if isinstance(value, str) else None
        if date is not None:
            return date
        if "onError" in runs:
            return runs["onError"](scope)
        raise CommandFailure(241, f"Error parsing date string '{value}' in {name}")

    return Expression(run)


_PART_OPERATOR: Final[Operator] = _part

DATES: Final[Operators] = {
    **dict.fromkeys(_PARTS, _PART_OPERATOR),
    "$dateToParts": _to_parts,
    "$dateFromParts": _from_parts,
    "$dateToString": _to_string,
    "$dateFromString": _from_string,
}
