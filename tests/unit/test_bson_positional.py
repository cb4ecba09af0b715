"""``$``, ``$[]`` and ``$[identifier]`` in the paths of updates (SEMANTICS 76 and its neighbours)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.update import apply_update, check_update
from shadow_adapters.failures import CommandFailure

NOW = DatetimeMS(1_700_000_000_123)
GRADES = [{"g": 80, "m": 1}, {"g": 95, "m": 2}, {"g": 90}]

FOUND: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("value", {"a": [1, 2, 2]}, {"a": 2}, {"$set": {"a.$": 0}}, {"a": [1, 0, 2]}),
    ("operator", {"a": [1, 5, 9]}, {"a": {"$gt": 4}}, {"$inc": {"a.$": 10}}, {"a": [1, 15, 9]}),
    ("field", {"a": GRADES[:2]}, {"a.g": 95}, {"$set": {"a.$.m": 5}}, {"a": [GRADES[0], {"g": 95, "m": 5}]}),
    (
        "elem-match",
        {"a": GRADES},
        {"a": {"$elemMatch": {"g": {"$gte": 85, "$lt": 95}}}},
        {"$mul": {"a.$.g": 2}},
        {"a": [*GRADES[:2], {"g": 180}]},
    ),
    ("unset", {"a": [1, 2, 3]}, {"a": 2}, {"$unset": {"a.$": 1}}, {"a": [1, None, 3]}),
    ("another-array", {"a": [1, 2], "b": [7, 8]}, {"a": 2}, {"$set": {"b.$": 0}}, {"a": [1, 2], "b": [7, 0]}),
    ("nested", {"a": {"b": [1, 2]}}, {"a.b": 2}, {"$set": {"a.b.$": 0}}, {"a": {"b": [1, 0]}}),
    (
        "inner-array",
        {"a": [{"b": [1]}, {"b": [2, 3]}]},
        {"a.b": 3},
        {"$push": {"a.$.b": 4}},
        {"a": [{"b": [1]}, {"b": [2, 3, 4]}]},
    ),
    (
        "two-operators",
        {"a": [1, {"x": 1}]},
        {"a.x": 1},
        {"$set": {"a.$.x": 2}, "$inc": {"a.$.y": 3}},
        {"a": [1, {"x": 2, "y": 3}]},
    ),
    ("beside-an-index", {"a": [1, 2]}, {"a": 2}, {"$set": {"a.$": 0, "a.0": 9}}, {"a": [9, 0]}),
    (
        "last-clause",
        {"a": [1, 2, 3], "b": [5, 6]},
        {"a": 3, "b": 5},
        {"$set": {"a.$": 0}},
        {"a": [0, 2, 3], "b": [5, 6]},
    ),
    ("a-document's-field", {"a": [5], "b": {}}, {"a": 5}, {"$set": {"b.$": 1}}, {"a": [5], "b": {"0": 1}}),
    (
        "all-of-inner",
        {"a": [{"b": [1]}, {"b": [2, 3]}]},
        {"a.b": 3},
        {"$inc": {"a.$.b.$[]": 1}},
        {"a": [{"b": [1]}, {"b": [3, 4]}]},
    ),
]


@pytest.mark.parametrize(
    ("document", "filter", "update", "result"), [pytest.param(*case[1:], id=case[0]) for case in FOUND]
)
def test_the_element_found(
    document: dict[str, Any], filter: dict[str, Any], update: dict[str, Any], result: dict[str, Any]
) -> None:
    before = copy.deepcopy(document)
    after = apply_update(document, update, inserting=False, now=NOW, filter=filter)
    assert encode(after) == encode(result)
    assert encode(document) == encode(before)


ELEMENTS: list[tuple[str, dict[str, Any], dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = [
    ("76-all", {"a": [1, 2]}, {"$inc": {"a.$[]": 1}}, [], {"a": [2, 3]}),
    ("76-filtered", {"a": [1, 5, 9]}, {"$set": {"a.$[e]": 0}}, [{"e": {"$gte": 5}}], {"a": [1, 0, 0]}),
    ("empty-array", {"a": []}, {"$inc": {"a.$[]": 1}}, [], {"a": []}),
    ("none-matches", {"a": [1]}, {"$inc": {"a.$[e]": 1}}, [{"e": 7}], {"a": [1]}),
    (
        "an-element's-field",
        {"a": GRADES},
        {"$set": {"a.$[e].m": 0}},
        [{"e.g": {"$gte": 90}}],
        {"a": [GRADES[0], {"g": 95, "m": 0}, {"g": 90, "m": 0}]},
    ),
    (
        "two-conditions",
        {"a": GRADES},
        {"$unset": {"a.$[e].m": 1}},
        [{"e.g": {"$gt": 70}, "e.m": 2}],
        {"a": [GRADES[0], {"g": 95}, GRADES[2]]},
    ),
    ("or", {"a": [1, 2, 3]}, {"$mul": {"a.$[e]": 10}}, [{"$or": [{"e": 1}, {"e": 3}]}], {"a": [10, 2, 30]}),
    ("nor", {"a": [1, 2, 3]}, {"$mul": {"a.$[e]": 10}}, [{"$nor": [{"e": 1}, {"e": 3}]}], {"a": [1, 20, 3]}),
    ("not", {"a": [1, "x"]}, {"$set": {"a.$[e]": 0}}, [{"e": {"$not": {"$type": "string"}}}], {"a": [0, "x"]}),
    ("arrays-inside", {"a": [[0], [1], 0]}, {"$set": {"a.$[e]": 5}}, [{"e": 0}], {"a": [5, [1], 5]}),
    (
        "nested",
        {"a": [{"b": [1, 2]}, {"b": [2]}]},
        {"$inc": {"a.$[].b.$[e]": 5}},
        [{"e": 2}],
        {"a": [{"b": [1, 7]}, {"b": [7]}]},
    ),
    ("directly-nested", {"a": [[1, 2], [3]]}, {"$inc": {"a.$[].$[]": 1}}, [], {"a": [[2, 3], [4]]}),
    (
        "two-filters",
        {"a": [1, 2, 3]},
        {"$set": {"a.$[x]": 0}, "$inc": {"a.$[y]": 5}},
        [{"x": 1}, {"y": 3}],
        {"a": [0, 2, 8]},
    ),
    ("one-twice", {"a": [1], "b": [1]}, {"$set": {"a.$[x]": 0, "b.$[x]": 0}}, [{"x": 1}], {"a": [0], "b": [0]}),
    ("push", {"a": [[0], [1]]}, {"$push": {"a.$[e]": 2}}, [{"e": 0}], {"a": [[0, 2], [1]]}),
    ("add-to-set", {"a": [[0], [2]]}, {"$addToSet": {"a.$[]": 2}}, [], {"a": [[0, 2], [2]]}),
    ("pop", {"a": [[0, 1], [1, 2]]}, {"$pop": {"a.$[e]": 1}}, [{"e": 0}], {"a": [[0], [1, 2]]}),
    ("pull", {"a": [[0, 1], [1, 2]]}, {"$pull": {"a.$[]": 1}}, [], {"a": [[0], [2]]}),
    ("pull-all", {"a": [[0, 1], [0, 2]]}, {"$pullAll": {"a.$[e]": [0, 2]}}, [{"e": 2}], {"a": [[0, 1], []]}),
    ("bit", {"a": [1, Int64(2)]}, {"$bit": {"a.$[]": {"or": 4}}}, [], {"a": [5, Int64(6)]}),
    (
        "min",
        {"a": [{"b": 0, "c": 1}, {"b": 1, "c": 1}]},
        {"$min": {"a.$[i].c": 0}},
        [{"i.b": 0}],
        {"a": [{"b": 0, "c": 0}, {"b": 1, "c": 1}]},
    ),
    ("date", {"a": [1, 2]}, {"$currentDate": {"a.$[e]": True}}, [{"e": 2}], {"a": [1, NOW]}),
    ("set-on-insert", {"a": [1]}, {"$setOnInsert": {"a.$[]": 5}}, [], {"a": [1]}),
    ("replacement", {"_id": 1, "a": [1]}, {"b": 1}, [{"e": 1}], {"_id": 1, "b": 1}),
]


@pytest.mark.parametrize(
    ("document", "update", "filters", "result"), [pytest.param(*case[1:], id=case[0]) for case in ELEMENTS]
)
def test_elements(
    document: dict[str, Any], update: dict[str, Any], filters: list[dict[str, Any]], result: dict[str, Any]
) -> None:
    before = copy.deepcopy(document)
    after = apply_update(document, update, inserting=False, now=NOW, array_filters=filters)
    assert encode(after) == encode(result)
    assert encode(document) == encode(before)


SET_E = {"$set": {"a.$[e]": 0}}

MISTAKEN: list[tuple[str, Any, Any, int]] = [
    ("no-array", SET_E, {"e": 1}, 14),
    ("pipeline", [{"$set": {"a": 0}}], [{"e": 1}], 9),
    ("no-array-of-a-replacement", {"a": 1}, {}, 14),
    ("no-documents", SET_E, ["bad"], 14),
    ("empty", SET_E, [{}], 9),
    ("expression", SET_E, [{"$expr": {"$eq": [1, 1]}}], 9),
    ("two-names", SET_E, [{"e": 0, "f": 0}], 9),
    ("two-names-nested", SET_E, [{"$or": [{"e": 0}, {"f": 0}]}], 9),
    ("same-name", SET_E, [{"e": 0}, {"e.x": 1}], 9),
    ("capital", {"$set": {"a.$[E]": 0}}, [{"E": 1}], 2),
    ("underscore", {"$set": {"a.$[e_]": 0}}, [{"e_": 1}], 2),
    ("empty-name", SET_E, [{"": 1}], 2),
    ("bad-filter", SET_E, [{"e": {"$in": 1}}], 2),
    ("unused", SET_E, [{"e": 0}, {"f": 0}], 9),
    ("unused-by-rename", {"$rename": {"a": "b"}}, [{"e": 0}], 9),
    ("no-filter", SET_E, [], 2),
    ("first-of-all", {"$set": {"$[]": 0}}, [], 2),
    ("first-filtered", {"$set": {"$[e].a": 0}}, [{"e": 1}], 2),
    ("first", {"$set": {"$.a": 0}}, [], 2),
    ("twice", {"$set": {"a.$.b.$": 0}}, [], 2),
    ("rename-source", {"$rename": {"a.$[]": "b"}}, [], 2),
    ("rename-source-found", {"$rename": {"a.$": "b"}}, [], 2),
    ("rename-destination", {"$rename": {"a": "b.$[]"}}, [], 2),
    ("conflict", {"$set": {"a.$[]": 1}, "$inc": {"a.$[]": 1}}, [], 40),
    ("conflict-inside", {"$set": {"a.$": 1, "a.$.b": 1}}, [], 40),
    ("conflict-of-kinds", {"$set": {"a.$[]": 1, "a.0": 2}}, [], 40),
    ("conflict-of-found", {"$set": {"a.$[].b": 1, "a.$.c": 2}}, [], 40),
]


@pytest.mark.parametrize(("update", "filters", "code"), [pytest.param(*case[1:], id=case[0]) for case in MISTAKEN])
def test_mistakes_that_no_document_is_needed_for(update: Any, filters: Any, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        check_update(update, filters)
    assert (caught.value.code, caught.value.unsupported) == (code, None)


FAILING: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], list[dict[str, Any]], int]] = [
    ("76-not-found", {"a": [1, 2]}, {"_id": 1}, {"$set": {"a.$": 0}}, [], 2),
    ("found-by-a-scalar", {"a": 5}, {"a": 5}, {"$set": {"a.$": 0}}, [], 2),
    ("found-by-the-whole", {"a": [1, 2]}, {"a": {"$size": 2}}, {"$set": {"a.$": 0}}, [], 2),
    ("of-a-scalar", {"a": [5], "b": 1}, {"a": 5}, {"$set": {"b.$": 1}}, [], 28),
    ("missing", {}, {}, {"$inc": {"a.$[]": 1}}, [], 2),
    ("missing-inside", {"a": [{"b": [1]}, {}]}, {}, {"$inc": {"a.$[].b.$[]": 1}}, [], 2),
    ("no-array", {"a": 5}, {}, {"$inc": {"a.$[]": 1}}, [], 2),
    ("a-document", {"a": {"0": 1}}, {}, {"$inc": {"a.$[e]": 1}}, [{"e": 1}], 2),
    ("set-on-insert", {}, {}, {"$setOnInsert": {"a.$[]": 1}}, [], 2),
    ("through-a-scalar", {"a": [1]}, {}, {"$set": {"a.$[].b": 1}}, [], 28),
    ("one-element-twice", {"a": [1]}, {}, {"$set": {"a.$[x]": 1, "a.$[y]": 2}}, [{"x": 1}, {"y": {"$gt": 0}}], 40),
    ("found-and-named", {"a": [1, 2]}, {"a": 2}, {"$set": {"a.$": 0, "a.1": 9}}, [], 40),
    ("of-the-wrong-type", {"a": [1, "x"]}, {}, {"$inc": {"a.$[]": 1}}, [], 14),
]


@pytest.mark.parametrize(
    ("document", "filter", "update", "filters", "code"), [pytest.param(*case[1:], id=case[0]) for case in FAILING]
)
def test_failures_on_a_document(
    document: dict[str, Any], filter: dict[str, Any], update: dict[str, Any], filters: Any, code: int
) -> None:
    before = copy.deepcopy(document)
    with pytest.raises(CommandFailure) as caught:
        apply_update({"_id": 1, **document}, update, inserting=False, now=NOW, filter=filter, array_filters=filters)
    assert caught.value.code == code
    assert document == before


def test_a_new_document_has_no_element_that_was_found() -> None:
    with pytest.raises(CommandFailure) as caught:
        apply_update({"a": [1]}, {"$set": {"a.$": 2}}, inserting=True, now=NOW)
    assert caught.value.code == 2


def test_a_new_document_may_have_elements() -> None:
    update = check_update({"$inc": {"a.$[e]": 5}}, [{"e": {"$gt": 1}}])
    assert apply_update({"a": [1, 2]}, update, inserting=True, now=NOW) == {"a": [1, 7]}
