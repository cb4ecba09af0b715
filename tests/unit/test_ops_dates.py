"""``$currentDate`` is fixed before routing, and what the server refuses is left to it."""

from __future__ import annotations

from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.timestamp import Timestamp

from shadow.ops.dates import fix_dates


def test_dates_and_timestamps_become_a_set_of_one_instant() -> None:
    fixed = fix_dates(
        {
            "$inc": {"n": 1},
            "$set": {"z": 1},
            "$currentDate": {"a": True, "b": {"$type": "date"}, "c": {"$type": "timestamp"}},
        }
    )
    assert list(fixed) == ["$inc", "$set"]
    assert list(fixed["$set"]) == ["z", "a", "b", "c"]
    assert type(fixed["$set"]["a"]) is DatetimeMS and fixed["$set"]["a"] == fixed["$set"]["b"]
    assert type(fixed["$set"]["c"]) is Timestamp
    assert fixed["$set"]["c"].time == int(fixed["$set"]["a"]) // 1000


@pytest.mark.parametrize(
    "update",
    [
        {"$set": {"a": 1}},
        [{"$set": {"a": "$$NOW"}}],
        {"$currentDate": {"a": "x"}},
        {"$currentDate": {"a": {"$type": "year"}}},
        {"$currentDate": {}},
        {"$currentDate": 5},
        {"$set": {"a": 1}, "$currentDate": {"a": True}},
        {"$set": 5, "$currentDate": {"a": True}},
    ],
)
def test_anything_else_is_left_alone(update: Any) -> None:
    assert fix_dates(update) is update
