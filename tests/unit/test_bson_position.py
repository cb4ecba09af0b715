"""The element of an array by which a document matched."""

from __future__ import annotations

from typing import Any

import pytest
from bson.regex import Regex

from shadow_adapters.bson.match import compile_filter

CASES: list[tuple[dict[str, Any], dict[str, Any], int | None]] = [
    ({"a": 5}, {"a": [1, 5, 5]}, 1),
    ({"a": 5}, {"a": 5}, None),
    ({"a": [1, 5]}, {"a": [1, 5]}, None),
    ({"a": {"$gt": 3, "$lt": 2}}, {"a": [4, 1]}, 0),
    ({"a": {"$gt": 3, "$lte": 1}}, {"a": [1, 4]}, 1),
    ({"b": 1, "a": 1}, {"a": [0, 0, 1], "b": [0, 1]}, 1),
    ({"a": {"$gte": 1}, "b": 5}, {"a": [0, 1], "b": [5]}, 1),
    ({"a": {"$elemMatch": {"b": 1}}, "b": 5}, {"a": [0, {"b": 1}], "b": [5]}, 0),
    ({"a": {"$elemMatch": {"$gt": 1}}, "b": {"$elemMatch": {"c": 1}}}, {"a": [1, 2], "b": [{"c": 1}]}, 1),
    ({"a": {"$in": [1, 2]}, "b": {"$in": [5]}}, {"a": [0, 2], "b": [5]}, 1),
    ({"a": Regex("x"), "b": 5}, {"a": ["y", "x"], "b": [5]}, 1),
    ({"a": {"$regex": "X", "$options": "i"}}, {"a": ["y", "x"]}, 1),
    ({"a": {"$all": [Regex("x"), "y"]}}, {"a": ["y", "x"]}, 1),
    ({"a": {"$eq": 2, "$ne": 9}}, {"a": [1, 2]}, 1),
    ({"a": {"$type": "int"}, "b": 5}, {"a": ["x", 1], "b": [5]}, 1),
    ({"a": {"$exists": True}, "b": 5}, {"a": [1], "b": [4, 5]}, 0),
    ({"a": {"$bitsAllSet": 2}}, {"a": [1, 2]}, 1),
    ({"a": {"$mod": [2, 0]}}, {"a": [1, 2]}, 1),
    ({"a": {"$elemMatch": {"$gt": 3, "$lt": 9}}}, {"a": [10, 5]}, 1),
    ({"a": {"$elemMatch": {"b": 1}}}, {"a": [{"b": 2}, 1, {"b": 1}]}, 2),
    ({"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}]}}, {"a": [{"b": 2}, {"b": 1}]}, 0),
    ({"a": {"$all": [1, 2]}}, {"a": [2, 1]}, 0),
    ({"a": {"$in": [2, 3]}}, {"a": [1, 3, 2]}, 1),
    ({"a": {"$size": 2}}, {"a": [1, 2]}, None),
    ({"a": {"$ne": 3}}, {"a": [1, 2]}, None),
    ({"a.b": 2}, {"a": [{"b": 1}, {"b": [1, 2]}]}, 1),
    ({"a.b": None}, {"a": [{"b": 1}, {}]}, 1),
    ({"a.b": 2}, {"a": {"b": [1, 2]}}, 1),
    ({"a.b": {"$elemMatch": {"c": 2}}}, {"a": [{"b": []}, {"b": [{"c": 1}, {"c": 1}, {"c": 2}]}]}, 1),
    ({"a.1": 7}, {"a": [1, 7]}, 1),
    ({"a.b.c": 7}, {"a": {"b": [{"c": 1}, {"c": 7}]}}, 1),
    ({"a": 1, "_id": 9}, {"_id": 9, "a": [0, 1]}, 1),
    ({"$and": [{"a": 1}, {"_id": 9}]}, {"_id": 9, "a": [0, 1]}, 1),
    ({"$or": [{"a": 1}]}, {"a": [0, 1]}, 1),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"a": [0, 1]}, None),
    ({"$nor": [{"a": 3}]}, {"a": [0, 1]}, None),
    ({"a": 1, "b": 1}, {"a": [0, 0, 1], "b": [0, 1]}, 1),
    ({}, {"a": [1]}, None),
]


@pytest.mark.parametrize(("filter", "document", "index"), CASES)
def test_position(filter: dict[str, Any], document: dict[str, Any], index: int | None) -> None:
    matcher = compile_filter(filter)
    assert matcher.matches(document)
    assert matcher.position(document) == index
