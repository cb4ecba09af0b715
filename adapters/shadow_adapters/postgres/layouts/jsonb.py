"""What a ``jsonb`` column can hold of a value so that it comes back identical, and what SQL sees of the rest.

jsonb reorders the fields of an object (shorter names first, then by bytes), writes numbers out without exponents,
knows no NaN, no date, no U+0000. A value that suffers from this is kept whole in ``_rest``; the column then holds its
*likeness*, for SQL's use, which also tells whether SQL has changed the column since.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.keys import regex_source

_INT32 = 1 << 31
_INT64 = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_exact(value: Any) -> bool:
    """Whether the value comes back from jsonb as it went in."""
    kind = type(value)
    if kind is str:
        return "\0" not in value
    if value is None or kind is bool:
        return True
    if kind is int or kind is Int64:
        return kind is int or not -_INT32 <= value < _INT32
    if kind is float:
        return _plain_float(value)
    if kind is dict:
        return in_order(list(value)) and all(map(is_exact, value.values()))
    return kind is list and all(map(is_exact, value))


def _plain_float(value: float) -> bool:
    text = repr(value)
    return math.isfinite(value) and "e" not in text and text != "-0.0"


def in_order(names: list[str]) -> bool:
    """Whether jsonb leaves the names in this order."""
    return names == sorted(names, key=name_order)


def name_order(name: str) -> tuple[int, bytes]:
    """What jsonb orders the fields of an object by."""
    raw = name.encode()
    return len(raw), raw


def dump(value: Any) -> str:
    """JSON text of a value that jsonb holds exactly."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(text: str) -> Any:
    """The BSON value of a jsonb column's text."""
    return _LOADER.decode(text)


def _integer(text: str) -> Any:
    value = int(text)
    if -_INT32 <= value < _INT32:
        return value
    return Int64(value) if -_INT64 <= value < _INT64 else float(value)


_LOADER = json.JSONDecoder(parse_int=_integer)


def likeness(value: Any) -> str:
    """JSON text that shows SQL a value that jsonb cannot hold exactly."""
    return json.dumps(_likeness(value), ensure_ascii=False, separators=(",", ":"))


def _likeness(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return value.replace("\0", "")
    if value is None or kind is bool or kind is int or kind is Int64:
        return value if kind is not Int64 else int(value)
    if kind is float:
        return value + 0.0 if math.isfinite(value) else None  # jsonb knows no -0.0
    if kind is dict or kind is DBRef:
        fields: Mapping[str, Any] = value if kind is dict else value.as_doc()
        return {name: _likeness(field) for name, field in fields.items()}
    if kind is list:
        return [_likeness(element) for element in value]
    if kind is DatetimeMS:
        return _iso(value)
    if kind is Decimal128:
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "pattern"):
        return regex_source(value).replace("\0", "")
    return str(value).replace("\0", "")


def _iso(value: DatetimeMS) -> str | int:
    try:
        return (_EPOCH + timedelta(milliseconds=int(value))).isoformat(timespec="milliseconds")
    except OverflowError:
        return int(value)


def same(one: str, other: str) -> bool:
    """Whether two JSON texts say the same to jsonb."""
    return one == other or _normal(one) == _normal(other)


def _normal(text: str) -> str:
    return json.dumps(json.loads(text, parse_int=float), sort_keys=True)
