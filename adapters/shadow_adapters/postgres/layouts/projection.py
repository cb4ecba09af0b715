"""The ``q`` column: a projection of a document by which SQL finds a superset of what a filter matches.

``q`` is flat: each dotted path (array positions left out) has the list of the scalars that it reaches. Every function
here is *monotone*: equal values project to equal atoms, and of two values of one type the greater one never projects
to the lesser atom. So equality and ranges on atoms may match too much, and never too little; the matcher rechecks.

* A number is its nearest double, clamped to the finite ones: Decimal128 and Int64 round the same way for document and
  filter. NaN has an atom of its own, and no range.
* A string is cut at its first U+0000 (jsonb refuses it) and at 256 characters.
* A date is its milliseconds in an object, so that it never equals a number. Any other type is its byte key, cut.

So that SQL can compute with some fields too, a field of the document itself whose only atom does not tell the value and
its type has a further, empty one: an array, any number but an int32, a string that was cut. What was projected so is
marked by `TYPED`; a row of before is not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson import keys

Atom = Any

_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
_LONGEST = 256
_GREATEST = 1.7976931348623157e308
_EXACT = 1 << 53
_INT32 = 1 << 31
NAN = {"$n": "nan"}
TYPED = "$typed"
"""The entry of a projection whose fields tell their types; a field of this name is never set by itself."""
_UNTOLD: Atom = {}


def project(document: Mapping[str, Any]) -> str:
    """The projection of a document as JSON text. A scalar ``_id`` is left out: it has the primary key."""
    found: dict[str, Any] = _fields(document)
    found.setdefault(TYPED, True)
    return _JSON.encode(found)


def project_fields(fields: Mapping[str, Any]) -> str:
    """What fields that are set have in a projection, which is marked or not as it was before."""
    return _JSON.encode(_fields(fields))


def _fields(document: Mapping[str, Any]) -> dict[str, list[Atom]]:
    found: dict[str, list[Atom]] = {}
    for name, value in document.items():
        if name != "_id" or isinstance(value, dict):
            _walk(found, name, value)
            if not _told(value):
                found[name].append(_UNTOLD)
    return found


def _told(value: Any) -> bool:
    """Whether one atom tells a value and its type, or has an object's form, which tells that it does not."""
    kind = type(value)
    if kind is str:
        return bool(text_atom(value) == value)
    if kind is int:
        return bool(-_INT32 <= value < _INT32)
    return kind is not float and kind is not list and kind is not Int64 and kind is not Decimal128


def _walk(found: dict[str, list[Atom]], path: str, value: Any) -> None:
    atoms = found.setdefault(path, [])
    kind = type(value)
    if kind is dict or kind is DBRef:
        for name, field in (value if kind is dict else value.as_doc()).items():
            _walk(found, f"{path}.{name}", field)
    elif kind is list:
        for element in value:
            kind = type(element)
            if kind is dict or kind is list or kind is DBRef:
                _walk(found, path, element)
            else:
                atoms.append(atom(element))
    else:
        atoms.append(atom(value))


def atom(value: Any) -> Atom:
    """The atom of a scalar."""
    kind = type(value)
    if kind is str:
        return text_atom(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is Int64 or kind is float or kind is Decimal128:
        return number_atom(value)
    if kind is DatetimeMS:
        return {"$d": int(value)}
    return {"$k": keys.encode(value)[:_LONGEST].hex()}


def text_atom(value: str) -> str:
    """The atom of a string."""
    end = value.find("\0", 0, _LONGEST)
    return value[: end if end >= 0 else _LONGEST]


def number_atom(value: Any) -> Atom:
    """The atom of a number."""
    if type(value) is not float and type(value) is not Decimal128 and -_EXACT <= value <= _EXACT:
        return int(value)
    exact = value.to_decimal() if type(value) is Decimal128 else value
    if math.isnan(exact):
        return NAN
    number = float(exact)
    return max(-_GREATEST, min(_GREATEST, number))
