"""Expressions over arrays, sets and documents: what each comes to, or the code of its error; and their bounds."""

from __future__ import annotations

from typing import Any

import pytest
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.expression import compile_expression
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

DOCUMENT: dict[str, Any] = {
    "a": [3, 1, 2, 1],
    "e": [],
    "n": None,
    "x": 5,
    "d": {"k": 1, "l": {"m": 2}},
    "o": [{"p": 1, "q": "b"}, {"p": 2, "q": "a"}, {"q": "c"}],
    "w": [[1, 2], [3]],
}

CASES: list[tuple[Any, Any]] = [
    ({"$arrayElemAt": ["$a", -1]}, 1),
    ({"$arrayElemAt": ["$a", 9]}, MISSING),
    ({"$arrayElemAt": ["$nope", 0]}, None),
    ({"$first": "$a"}, 3),
    ({"$last": "$e"}, MISSING),
    ({"$firstN": {"n": 2, "input": "$a"}}, [3, 1]),
    ({"$lastN": {"n": Int64(2), "input": "$a"}}, [2, 1]),
    ({"$maxN": {"n": 2, "input": "$a"}}, [3, 2]),
    ({"$minN": {"n": 9, "input": "$a"}}, [1, 1, 2, 3]),
    ({"$concatArrays": ["$a", [0], "$e"]}, [3, 1, 2, 1, 0]),
    ({"$concatArrays": ["$a", "$n"]}, None),
    ({"$in": [2.0, "$a"]}, True),
    ({"$in": ["$nope", "$a"]}, False),
    ({"$indexOfArray": ["$a", 1]}, 1),
    ({"$indexOfArray": ["$a", 1, 2]}, 3),
    ({"$indexOfArray": ["$a", 1, 2, 3]}, -1),
    ({"$indexOfArray": ["$n", 1]}, None),
    ({"$isArray": "$a"}, True),
    ({"$isArray": [["$x"]]}, True),
    ({"$isArray": "$x"}, False),
    ({"$range": [0, 10, 3]}, [0, 3, 6, 9]),
    ({"$range": [3, 0, -1]}, [3, 2, 1]),
    ({"$range": [0, 3, -1]}, []),
    ({"$reverseArray": "$a"}, [1, 2, 1, 3]),
    ({"$size": "$e"}, 0),
    ({"$slice": ["$a", 2]}, [3, 1]),
    ({"$slice": ["$a", -2]}, [2, 1]),
    ({"$slice": ["$a", 1, 2]}, [1, 2]),
    ({"$slice": ["$a", -9, 2]}, [3, 1]),
    ({"$sortArray": {"input": "$a", "sortBy": -1}}, [3, 2, 1, 1]),
    ({"$map": {"input": {"$sortArray": {"input": "$o", "sortBy": {"p": -1}}}, "in": "$$this.q"}}, ["a", "b", "c"]),
    ({"$map": {"input": "$a", "as": "y", "in": {"$multiply": ["$$y", "$x"]}}}, [15, 5, 10, 5]),
    ({"$map": {"input": "$n", "in": 1}}, None),
    ({"$map": {"input": "$o", "in": "$$this.p"}}, [1, 2, None]),
    ({"$filter": {"input": "$a", "cond": {"$gt": ["$$this", 1]}}}, [3, 2]),
    ({"$filter": {"input": "$a", "as": "y", "cond": {"$lt": ["$$y", 3]}, "limit": 2}}, [1, 2]),
    ({"$reduce": {"input": "$a", "initialValue": 0, "in": {"$add": ["$$value", "$$this"]}}}, 7),
    ({"$reduce": {"input": "$w", "initialValue": [], "in": {"$concatArrays": ["$$value", "$$this"]}}}, [1, 2, 3]),
    ({"$zip": {"inputs": ["$a", ["x", "y"]]}}, [[3, "x"], [1, "y"]]),
    (
        {"$zip": {"inputs": [[1], ["x", "y"]], "useLongestLength": True, "defaults": [0, "z"]}},
        [[1, "x"], [0, "y"]],
    ),
    ({"$setUnion": [[1, 2], [2.0, 3]]}, [1, 2, 3]),
    ({"$setIntersection": ["$a", [1, 1, 3]]}, [1, 3]),
    ({"$setDifference": ["$a", [1]]}, [3, 2]),
    ({"$setIsSubset": [[1], "$a"]}, True),
    ({"$setEquals": ["$a", [1, 2, 3]]}, True),
    ({"$setUnion": ["$a", None]}, None),
    ({"$anyElementTrue": [[0, None, ""]]}, True),
    ({"$anyElementTrue": ["$e"]}, False),
    ({"$allElementsTrue": [[1, "", []]]}, True),
    ({"$allElementsTrue": [[1, 0]]}, False),
    ({"$sum": "$a"}, 7),
    ({"$sum": ["$x", "$a", "z"]}, 5),
    ({"$avg": "$a"}, 1.75),
    ({"$avg": "$e"}, None),
    ({"$max": ["$x", "$n", 7]}, 7),
    ({"$min": "$a"}, 1),
    ({"$stdDevSamp": [2]}, None),
    ({"$stdDevPop": [2, 4]}, 1.0),
    ({"$mergeObjects": ["$d", {"k": 2}, None]}, {"k": 2, "l": {"m": 2}}),
    ({"$getField": {"field": "k", "input": "$d"}}, 1),
    ({"$getField": "x"}, 5),
    ({"$setField": {"field": "k", "input": "$d", "value": 9}}, {"k": 9, "l": {"m": 2}}),
    ({"$setField": {"field": "k", "input": "$d", "value": "$$REMOVE"}}, {"l": {"m": 2}}),
    ({"$unsetField": {"field": "l", "input": "$d"}}, {"k": 1}),
    ({"$objectToArray": "$d"}, [{"k": "k", "v": 1}, {"k": "l", "v": {"m": 2}}]),
    ({"$arrayToObject": [[["a", 1], ["b", 2]]]}, {"a": 1, "b": 2}),
    ({"$arrayToObject": {"$objectToArray": "$d"}}, {"k": 1, "l": {"m": 2}}),
]

REFUSED: list[tuple[Any, int]] = [
    ({"$arrayElemAt": ["$x", 0]}, 28689),
    ({"$arrayElemAt": ["$a", 1.5]}, 28691),
    ({"$concatArrays": ["$a", "$x"]}, 28664),
    ({"$in": [1, "$x"]}, 40081),
    ({"$range": [0, 5, 0]}, 34449),
    ({"$range": [0, 2**31 - 1]}, 146),
    ({"$reverseArray": "$x"}, 34435),
    ({"$size": "$x"}, 17124),
    ({"$size": "$nope"}, 17124),
    ({"$map": {"input": "$x", "in": 1}}, 16883),
    ({"$filter": {"input": "$x", "cond": True}}, 28651),
    ({"$reduce": {"input": "$x", "initialValue": 0, "in": 1}}, 40080),
    ({"$setUnion": ["$x"]}, 17043),
    ({"$setDifference": ["$x", "$a"]}, 17048),
    ({"$mergeObjects": ["$x"]}, 40400),
    ({"$objectToArray": "$x"}, 40390),
    ({"$arrayToObject": "$x"}, 40386),
    ({"$zip": {"inputs": "$x"}}, 34461),
]

_DOUBLED = {"$reduce": {"input": {"$range": [0, 40]}, "initialValue": "x", "in": {"$concat": ["$$value", "$$value"]}}}
_LONG = {"$reduce": {"input": {"$range": [0, 20]}, "initialValue": "x", "in": {"$concat": ["$$value", "$$value"]}}}


def _each(inner: Any) -> Any:
    return {"$map": {"input": {"$range": [0, 1000]}, "in": inner}}


BOUNDED: list[tuple[str, Any, int]] = [
    ("text", _DOUBLED, 13548),
    ("replaced", {"$replaceAll": {"input": _LONG, "find": "x", "replacement": "y" * 100}}, 13548),
    ("array", {"$reduce": {**_DOUBLED["$reduce"], "initialValue": [1], "in": {"$concatArrays": ["$$value"] * 2}}}, 146),
    ("loops", _each(_each(_each("$$this"))), 50),
]


def _value(expression: Any) -> Any:
    return compile_expression(expression, ()).evaluate(DOCUMENT, {})


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=lambda case: str(case)[:60])
def test_value(expression: Any, expected: Any) -> None:
    found = _value(expression)
    if expected is MISSING or expected is None:
        assert found is expected
    else:
        assert encode({"": found}) == encode({"": expected})


@pytest.mark.parametrize(("expression", "code"), REFUSED, ids=lambda case: str(case)[:60])
def test_refused(expression: Any, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        _value(expression)
    assert caught.value.code == code


@pytest.mark.parametrize(("expression", "code"), [pytest.param(*case[1:], id=case[0]) for case in BOUNDED])
def test_what_grows_without_end_is_stopped(expression: Any, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        _value(expression)
    assert caught.value.code == code
