"""Numbers and dates as text, and texts as numbers and dates, in MongoDB's forms."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from shadow_adapters.failures import CommandFailure

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?", re.ASCII)
_DATE: Final = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:[T ]([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
    r"[ ]?([zZ]|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)?",
    re.ASCII,
)


def number_text(value: Any) -> str:
    """A number as text; a double with up to 16 digits."""
    if not isinstance(value, float):
        return str(value)
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else f"{value:.16g}"


def iso(date: DatetimeMS) -> str:
    """A date as ``2024-01-02T03:04:05.678Z``. Raises `CommandFailure` for a year that has not four digits."""
    moment = moment_of(date)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")


def moment_of(date: DatetimeMS, zone: tzinfo = UTC) -> datetime:
    """A date in a time zone. Raises `CommandFailure` 18537 for one whose year is not 1 to 9999."""
    try:
        return (EPOCH + int(date) * _MILLISECOND).astimezone(zone)
    except (OverflowError, ValueError):
        raise CommandFailure(18537, f"Could not convert date to string: date component was outside: {date}") from None


def date_of(moment: datetime) -> DatetimeMS:
    """A moment as a date."""
    return DatetimeMS((moment - EPOCH) // _MILLISECOND)


def zone_of(name: str) -> tzinfo:
    """A time zone by its Olson name or as an offset (``+05:30``). Raises `CommandFailure` 40485."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        span = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-span if sign == "-" else span)
    if name in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandFailure(40485, f'unrecognized time zone identifier: "{name}"') from None


def parsed_integer(text: str) -> int | None:
    """A text that is a whole number in decimal digits."""
    return int(text) if _INTEGER.fullmatch(text) else None


def parsed_double(text: str) -> float | None:
    """A text that is a number, an infinity or NaN."""
    return float(text) if _NUMBER.fullmatch(text) or _SPECIAL.fullmatch(text) else None


def parsed_decimal(text: str) -> Decimal128 | None:
    """A text that is a number of up to 34 digits, an infinity or NaN."""
    return Decimal128(Decimal(text)) if _NUMBER.fullmatch(text) or _SPECIAL.fullmatch(text) else None


def parsed_date(text: str, zone: tzinfo | None = None) -> DatetimeMS | None:
    """A text in ISO 8601's form, in UTC or the zone given where it names none; None for any other text."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    where = zone or UTC
    if offset is not None:
        where = zone_of(offset.upper())
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    moment = moment.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]), tzinfo=where)
    return date_of(moment)
