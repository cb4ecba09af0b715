"""Whether a filter names one record by its ``_id``, for routing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from bson.objectid import ObjectId
from bson.regex import Regex

from shadow_adapters.bson.match.parser import is_condition

_NOT_ONE: Final = (False, None)
_NO_EQUALITY = (Regex, re.Pattern, list, tuple)  # a regex matches many, an array is no _id


def equality_id(filter: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the filter fixes ``_id`` by equality, and to what: ``(True, value)`` or ``(False, None)``.

    Seen are a plain value, ``{"$eq": v}`` and ``{"$in": [v]}``, alone or beside other conditions, also inside a
    top-level ``$and``. The filter may say more, and may even match nothing: it never matches another record.
    """
    if "_id" in filter:
        found = _fixed(filter["_id"])
        if found[0]:
            return found
    branches = filter.get("$and")
    if isinstance(branches, list):
        for branch in branches:
            if isinstance(branch, Mapping):
                found = equality_id(branch)
                if found[0]:
                    return found
    return _NOT_ONE


def _fixed(value: Any) -> tuple[bool, Any]:
    kind = type(value)
    if kind is ObjectId or kind is str or kind is int:
        return True, value
    if not is_condition(value):
        return _plain(value)
    if "$eq" in value:
        return _plain(value["$eq"])
    among = value.get("$in")
    return _plain(among[0]) if isinstance(among, list) and len(among) == 1 else _NOT_ONE


def _plain(value: Any) -> tuple[bool, Any]:
    return _NOT_ONE if isinstance(value, _NO_EQUALITY) else (True, value)
