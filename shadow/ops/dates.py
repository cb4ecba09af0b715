"""``$currentDate`` is fixed once, before routing, so that both stores and every retry write the same instant."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.timestamp import Timestamp


def fix_dates(update: Any) -> Any:
    """The update with ``$currentDate`` turned into ``$set``; the very same object where there is none.

    What the server would refuse (an unknown type, a path that is set twice) is left to it.
    """
    if not isinstance(update, Mapping) or "$currentDate" not in update:
        return update
    wanted, others = update["$currentDate"], update.get("$set", {})
    if not isinstance(wanted, Mapping) or not isinstance(others, Mapping) or wanted.keys() & others.keys():
        return update
    now = time.time()
    instants = {path: _instant(kind, now) for path, kind in wanted.items()}
    if None in instants.values() or not instants:
        return update
    rest = {operator: fields for operator, fields in update.items() if operator != "$currentDate"}
    return {**rest, "$set": {**others, **instants}}


def _instant(kind: Any, now: float) -> DatetimeMS | Timestamp | None:
    if isinstance(kind, bool) or kind == {"$type": "date"}:
        return DatetimeMS(int(now * 1000))
    if kind == {"$type": "timestamp"}:
        return Timestamp(int(now), 1)
    return None
