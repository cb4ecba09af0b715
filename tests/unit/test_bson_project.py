"""Projections: what is kept, what is left out, what is computed, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.projection import compile_projection
from shadow_adapters.failures import CommandFailure

DOCUMENT: dict[str, Any] = {"_id": 1, "b": {"c": 1, "d": 2}, "a": [1, {"c": 3, "d": 4}, [{"c": 5}], []], "e": None}
LISTS: dict[str, Any] = {
    "_id": 1,
    "x": 0,
    "a": [1, 2, 3, 4],
    "d": [{"k": 1, "v": [1, 2]}, 7, {"k": 2, "v": [3]}, [{"v": [9, 9]}]],
}
ELEMENTS = LISTS["d"]


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({}, DOCUMENT),
        (None, DOCUMENT),
        ({"e": 1, "b": 1}, {"_id": 1, "b": {"c": 1, "d": 2}, "e": None}),
        ({"e": True, "_id": False}, {"e": None}),
        ({"_id": 1}, {"_id": 1}),
        ({"_id": 0}, {name: value for name, value in DOCUMENT.items() if name != "_id"}),
        ({"b.c": 1}, {"_id": 1, "b": {"c": 1}}),
        ({"b": {"c": 1}}, {"_id": 1, "b": {"c": 1}}),
        ({"b": {"c": 1}, "b.d": 1}, {"_id": 1, "b": {"c": 1, "d": 2}}),
        ({"a.c": 1}, {"_id": 1, "a": [{"c": 3}, [{"c": 5}], []]}),
        ({"e.c": 1, "b.x": 1}, {"_id": 1, "b": {}}),
        ({"a": 0, "b.c": 0}, {"_id": 1, "b": {"d": 2}, "e": None}),
        ({"a.c": 0, "b": 0, "_id": 1}, {"_id": 1, "a": [1, {"d": 4}, [{}], []], "e": None}),
        ({"e.c": 0, "a": 0, "b": 0}, {"_id": 1, "e": None}),
        ({"x": 1}, {"_id": 1}),
        ({"e": Decimal128("0.5")}, {"_id": 1, "e": None}),
        ({"_id": 0, "x": "$b.c"}, {"x": 1}),
        ({"e": 1, "b": "$b.d"}, {"_id": 1, "e": None, "b": 2}),
        ({"b": {"c": "$b.d"}}, {"_id": 1, "b": {"c": 2}}),
        ({"b.x": {"$add": ["$b.c", "$b.d"]}, "_id": 0}, {"b": {"x": 3}}),
        ({"x": {"$literal": 5}, "y": "text", "z": None}, {"_id": 1, "x": 5, "y": "text", "z": None}),
        ({"x": ["$b.c", 2]}, {"_id": 1, "x": [1, 2]}),
        ({"x": "$nothing"}, {"_id": 1}),
        ({"_id": "$b.c", "e": 1}, {"e": None, "_id": 1}),
        ({"x": "$$v"}, {"_id": 1, "x": 7}),
    ],
)
def test_projected(spec: Any, result: dict[str, Any]) -> None:
    before = copy.deepcopy(DOCUMENT)
    projected = compile_projection(spec, variables={"v": 7}).apply(DOCUMENT)
    assert encode(projected) == encode(result)
    assert encode(DOCUMENT) == encode(before)


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({"a": {"$slice": 2}}, {**LISTS, "a": [1, 2]}),
        ({"a": {"$slice": -2}}, {**LISTS, "a": [3, 4]}),
        ({"a": {"$slice": 9}}, LISTS),
        ({"a": {"$slice": 0}}, {**LISTS, "a": []}),
        ({"a": {"$slice": 1.9}}, {**LISTS, "a": [1]}),
        ({"a": {"$slice": [1, 2]}}, {**LISTS, "a": [2, 3]}),
        ({"a": {"$slice": [-3, 2]}}, {**LISTS, "a": [2, 3]}),
        ({"a": {"$slice": [-9, 2]}}, {**LISTS, "a": [1, 2]}),
        ({"a": {"$slice": [9, 2]}}, {**LISTS, "a": []}),
        ({"x": {"$slice": 1}, "y": {"$slice": 1}}, LISTS),
        ({"a": {"$slice": 1}, "_id": 0}, {"x": 0, "a": [1], "d": ELEMENTS}),
        ({"a": {"$slice": 1}, "_id": 1}, {"_id": 1, "a": [1]}),
        ({"a": {"$slice": 1}, "x": 1}, {"_id": 1, "x": 0, "a": [1]}),
        ({"a": {"$slice": 1}, "x": 0}, {"_id": 1, "a": [1], "d": ELEMENTS}),
        (
            {"d.v": {"$slice": 1}, "a": 0},
            {"_id": 1, "x": 0, "d": [{"k": 1, "v": [1]}, 7, {"k": 2, "v": [3]}, ELEMENTS[3]]},
        ),
        ({"d": {"v": {"$slice": 1}}, "x": 1}, {"_id": 1, "x": 0, "d": [{"v": [1]}, {"v": [3]}, [{"v": [9, 9]}]]}),
        ({"a": {"$slice": 1}, "d": {"$slice": -1}}, {"_id": 1, "x": 0, "a": [1], "d": [ELEMENTS[3]]}),
        ({"a": {"$slice": ["$a", 2]}}, {"_id": 1, "a": [1, 2]}),
        ({"a": {"$slice": ["$a", 1, 2]}, "x": 1}, {"_id": 1, "x": 0, "a": [2, 3]}),
    ],
)
def test_slices(spec: Any, result: dict[str, Any]) -> None:
    assert encode(compile_projection(spec).apply(LISTS)) == encode(result)


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        ({"d": {"$elemMatch": {"k": 2}}}, {"_id": 1, "d": [ELEMENTS[2]]}),
        ({"a": {"$elemMatch": {"$gt": 2}}}, {"_id": 1, "a": [3]}),
        ({"a": {"$elemMatch": {"$gt": 9}}}, {"_id": 1}),
        ({"x": {"$elemMatch": {"$gte": 0}}}, {"_id": 1}),
        ({"none": {"$elemMatch": {"$gte": 0}}}, {"_id": 1}),
        ({"a": {"$elemMatch": {"$gt": 2}}, "_id": 0}, {"a": [3]}),
        ({"a": {"$elemMatch": {"$gt": 2}}, "x": 1}, {"_id": 1, "x": 0, "a": [3]}),
        ({"a": {"$elemMatch": {"$gt": 2}}, "x": 0}, {"_id": 1, "a": [3], "d": ELEMENTS}),
        ({"a": {"$elemMatch": {"$gt": 9}}, "x": 0}, {"_id": 1, "d": ELEMENTS}),
        ({"a": {"$elemMatch": {"$gt": 2}}, "d": {"$slice": 1}}, {"_id": 1, "x": 0, "a": [3], "d": [ELEMENTS[0]]}),
    ],
)
def test_elements_that_match(spec: Any, result: dict[str, Any]) -> None:
    assert encode(compile_projection(spec).apply(LISTS)) == encode(result)


@pytest.mark.parametrize(
    ("filter", "spec", "result"),
    [
        ({"a": 3}, {"a.$": 1}, {"_id": 1, "a": [3]}),
        ({"a": {"$gt": 1}, "x": 0}, {"a.$": 1, "x": 1}, {"_id": 1, "x": 0, "a": [2]}),
        ({"d.k": 2}, {"d.$": 1}, {"_id": 1, "d": [ELEMENTS[2]]}),
        ({"d.k": 2}, {"d.k.$": 1}, {"_id": 1, "d": [{"k": 2}]}),
        ({"d.k": 2}, {"d.$.v": 1, "_id": 0}, {"d": [ELEMENTS[2]]}),
        ({"d": {"$elemMatch": {"k": 1}}}, {"d.$": True}, {"_id": 1, "d": [ELEMENTS[0]]}),
        ({"$and": [{"a": 4}]}, {"a.$": 1}, {"_id": 1, "a": [4]}),
        ({"x": 0, "a": 1}, {"x.$": 1}, {"_id": 1, "x": 0}),
    ],
)
def test_the_element_found(filter: dict[str, Any], spec: Any, result: dict[str, Any]) -> None:
    lists = {**LISTS, "d": [{"k": 1, "v": [1, 2]}, {"k": 0}, {"k": 2, "v": [3]}, []]} if "d.k.$" in spec else LISTS
    assert encode(compile_projection(spec, filter).apply(lists)) == encode(result)


@pytest.mark.parametrize(
    ("filter", "code"),
    [({"a": {"$size": 4}}, 51246), ({"a": {"$ne": 9}}, 51246), ({"a": [1, 2, 3, 4], "d.k": 9}, 51246)],
)
def test_no_element_found(filter: dict[str, Any], code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_projection({"a.$": 1}, filter).apply(LISTS)
    assert caught.value.code == code


def test_an_element_of_a_longer_array() -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_projection({"a.$": 1}, {"a": {"$size": 1}, "b": 5}).apply({"_id": 1, "a": [1], "b": [4, 5]})
    assert caught.value.code == 51247


@pytest.mark.parametrize(
    ("spec", "code", "unsupported"),
    [
        ({"a": 1, "b": 0}, 31254, None),
        ({"a": 0, "b": 1}, 31253, None),
        ({"a": "$b", "b": 0}, 31254, None),
        ({"a": 0, "b": "$c"}, 31310, None),
        ({"a": 0, "b": {"$add": [1, 2]}}, 31252, None),
        ({"a": 1, "a.b": 1}, 31249, None),
        ({"a.b": 1, "a": 1}, 31250, None),
        ({"a": {"$slice": 1}, "a.b": 1}, 31249, None),
        ({"a": {}}, 51270, None),
        ({"a": {"$foo": 1}}, 31325, None),
        ({"a": {"$add": [1], "b": 1}}, 16410, None),
        ({"a": "$$v"}, 17276, None),
        ({"a": {"$meta": "textScore"}}, 40218, None),
        ({"a": {"$meta": "randVal"}}, 40218, "$meta randVal"),
        ({"a": {"$meta": "x"}}, 17308, None),
        ({"a": {"$meta": 1}}, 17307, None),
        ({"$a": 1}, 16410, None),
        ({"a..b": 1}, 15998, None),
        ({"a.": 1}, 40353, None),
        ({"": 1}, 40352, None),
        ({"a": {"$slice": "x"}}, 28667, None),
        ({"a": {"$elemMatch": 1}}, 31274, None),
        ({"a": {"$elemMatch": {"$foo": 1}}}, 2, "$foo"),
        ({"a.b": {"$elemMatch": {"c": 1}}}, 31275, None),
        ({"a": {"b": {"$elemMatch": {"c": 1}}}}, 31275, None),
        ({"a.$": 1, "b": {"$elemMatch": {"c": 1}}}, 31255, None),
        ({"b": {"$elemMatch": {"c": 1}}, "a.$": 1}, 31256, None),
        ({"a.$": 1, "b.$": 1}, 31276, None),
        ({"b.$": 1}, 31277, None),
        ({"a.$": {"b": 1}}, 31271, None),
        ({"a.$": "x"}, 31308, None),
        ({"a.$.b.$": 1}, 31287, None),
        ({"a.$.": 1}, 31270, None),
        ({"a.$": 0}, 16410, None),
        ({"x": 0, "a.$": 1}, 31253, None),
        ({"a": 1, "a.$": 1}, 31250, None),
    ],
)
def test_refused(spec: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_projection(spec, {"a": 1})
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)
