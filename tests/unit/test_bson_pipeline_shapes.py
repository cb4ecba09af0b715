"""Stages that change each document by itself: ``$match $project $addFields $unset $replaceRoot $redact $unwind``."""

from __future__ import annotations

from typing import Any

import pytest
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.pipeline import compile_pipeline
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import NOW, run

Case = tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]

INNER: dict[str, Any] = {"c": 1, "d": [1, {"e": 2}]}
DOCUMENT: dict[str, Any] = {"_id": 1, "a": 4, "b": INNER, "t": [{"x": 1}, {"x": 3, "y": 4}, 5]}

CASES: list[Case] = [
    ([{"$match": {"a": {"$gt": 3}}}], {}, [DOCUMENT]),
    ([{"$match": {"a": 3}}], {}, []),
    ([{"$match": {"$expr": {"$eq": [NOW, "$$NOW"]}}}], {}, [DOCUMENT]),
    ([{"$match": {"$expr": {"$eq": ["$a", "$$four"]}}}], {"four": 4}, [DOCUMENT]),
    ([{"$project": {"a": 1}}], {}, [{"_id": 1, "a": 4}]),
    ([{"$project": {"a": 1, "_id": 0}}], {}, [{"a": 4}]),
    ([{"$project": {"b.c": 1, "_id": 0}}], {}, [{"b": {"c": 1}}]),
    ([{"$project": {"b": {"d": {"e": 1}}, "_id": 0}}], {}, [{"b": {"d": [{"e": 2}]}}]),
    ([{"$project": {"t.x": 0, "b": 0, "a": 0}}], {}, [{"_id": 1, "t": [{}, {"y": 4}, 5]}]),
    ([{"$project": {"_id": 0, "v": "$t.x"}}], {}, [{"v": [1, 3]}]),  # 86
    ([{"$project": {"_id": 0, "v": "$t.0"}}], {}, [{"v": []}]),  # 87
    ([{"$project": {"_id": 0, "v": {"$divide": ["$a", 2]}}}], {}, [{"v": 2.0}]),  # 88
    ([{"$project": {"_id": 0, "v": "$none"}}], {}, [{}]),
    ([{"$project": {"z": "$a", "b": 1}}], {}, [{"_id": 1, "b": INNER, "z": 4}]),
    ([{"$project": {"a": "$$four", "_id": 0}}], {"four": 4}, [{"a": 4}]),
    ([{"$project": {"t.z": "$a", "_id": 0}}], {}, [{"t": [{"z": 4}, {"z": 4}]}]),
    ([{"$project": {"_id": "$a"}}], {}, [{"_id": 4}]),
    ([{"$project": {"_id": 1}}], {}, [{"_id": 1}]),
    ([{"$project": {"_id": 0}}, {"$unset": ["b", "t"]}], {}, [{"a": 4}]),
    ([{"$addFields": {"z": {"$add": ["$a", 1]}}}], {}, [{**DOCUMENT, "z": 5}]),
    ([{"$set": {"a": "$$REMOVE"}}, {"$unset": ["b", "t"]}], {}, [{"_id": 1}]),
    ([{"$set": {"a": "$$NOW"}}, {"$unset": ["b", "t"]}], {}, [{"_id": 1, "a": NOW}]),
    (
        [{"$set": {"b.c": 7, "b.n": 8}}, {"$project": {"b": 1}}],
        {},
        [{"_id": 1, "b": {**INNER, "c": 7, "n": 8}}],
    ),
    ([{"$set": {"a.n": 8}}, {"$project": {"a": 1}}], {}, [{"_id": 1, "a": {"n": 8}}]),
    ([{"$set": {"t.x": 0}}, {"$project": {"t": 1}}], {}, [{"_id": 1, "t": [{"x": 0}, {"x": 0, "y": 4}, {"x": 0}]}]),
    ([{"$set": {"t": {}}}, {"$project": {"t": 1}}], {}, [{"_id": 1, "t": {}}]),
    ([{"$set": {"n": 1, "s": "text"}}, {"$project": {"n": 1, "s": 1}}], {}, [{"_id": 1, "n": 1, "s": "text"}]),
    ([{"$addFields": {}}], {}, [DOCUMENT]),
    ([{"$unset": "b.c"}, {"$project": {"b": 1}}], {}, [{"_id": 1, "b": {"d": [1, {"e": 2}]}}]),
    ([{"$unset": ["t.x", "a", "b"]}], {}, [{"_id": 1, "t": [{}, {"y": 4}, 5]}]),
    ([{"$replaceRoot": {"newRoot": "$b"}}], {}, [INNER]),
    ([{"$replaceWith": {"$mergeObjects": [{"z": 1}, "$b"]}}], {}, [{"z": 1, **INNER}]),
    ([{"$redact": "$$PRUNE"}], {}, []),
    ([{"$redact": "$$KEEP"}], {}, [DOCUMENT]),
    (
        [{"$redact": {"$cond": [{"$eq": ["$x", 1]}, "$$PRUNE", "$$DESCEND"]}}],
        {},
        [{**DOCUMENT, "t": [{"x": 3, "y": 4}, 5]}],
    ),
    ([{"$unwind": "$none"}], {}, []),  # 85
    ([{"$unwind": "$a"}], {}, [DOCUMENT]),  # 85
    ([{"$project": {"t": 1}}, {"$unwind": "$t"}], {}, [{"_id": 1, "t": each} for each in DOCUMENT["t"]]),
    (
        [{"$project": {"b.d": 1}}, {"$unwind": "$b.d"}],
        {},
        [{"_id": 1, "b": {"d": each}} for each in INNER["d"]],
    ),
    (
        [{"$project": {"t": "$t.y"}}, {"$unwind": {"path": "$t", "includeArrayIndex": "i.j"}}],
        {},
        [{"_id": 1, "t": 4, "i": {"j": Int64(0)}}],
    ),
    (
        [{"$project": {"a": 1}}, {"$unwind": {"path": "$a", "includeArrayIndex": "i"}}],
        {},
        [{"_id": 1, "a": 4, "i": None}],
    ),
]


@pytest.mark.parametrize(("stages", "let", "results"), CASES, ids=lambda value: str(value)[:60])
def test_each_document(stages: list[dict[str, Any]], let: dict[str, Any], results: list[dict[str, Any]]) -> None:
    found = run(stages, [DOCUMENT], let=let)
    assert [encode(document) for document in found] == [encode(document) for document in results]


@pytest.mark.parametrize("value", [None, [], ...])
def test_unwind_keeps_what_has_no_element_only_where_it_is_asked_to(value: Any) -> None:
    document = {"_id": 1} if value is ... else {"_id": 1, "v": value}
    assert run([{"$unwind": "$v"}], [document]) == []  # 85
    kept = {"_id": 1, "v": None} if value is None else {"_id": 1}
    assert run([{"$unwind": {"path": "$v", "preserveNullAndEmptyArrays": True}}], [document]) == [kept]
    options = {"path": "$v", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "i"}
    assert run([{"$unwind": options}], [document]) == [{**kept, "i": None}]


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ({"$match": 1}, 15959),
        ({"$match": {"$expr": "$$unknown"}}, 17276),
        ({"$match": {"a": {"$foo": 1}}}, 2),
        ({"$project": 1}, 15969),
        ({"$project": {}}, 51272),
        ({"$project": {"a": 1, "b": 0}}, 31254),
        ({"$project": {"a": 0, "b": 1}}, 31253),
        ({"$project": {"a": 0, "b": {"$add": [1, 2]}}}, 31252),
        ({"$project": {"a": 0, "_id": {"$add": [1, 2]}}}, 31252),
        ({"$project": {"a": 1, "a.b": 1}}, 31249),
        ({"$project": {"a.b": 1, "a": 1}}, 31250),
        ({"$project": {"a": {}}}, 51270),
        ({"$project": {"a": {"$foo": 1}}}, 31325),
        ({"$project": {"a": {"$elemMatch": {"b": 1}}}}, 168),
        ({"$project": {"a": {"$add": [1], "b": 1}}}, 16410),
        ({"$project": {"a.$": 1}}, 31324),
        ({"$project": {"a..b": 1}}, 15998),
        ({"$project": {"a.": 1}}, 40353),
        ({"$addFields": 1}, 40272),
        ({"$set": "a"}, 40272),
        ({"$set": {"a": 1, "a.b": 1}}, 40176),
        ({"$set": {"a.b": 1, "a": {"b": 2}}}, 40176),
        ({"$set": {"a": {"$add": [1], "b": 1}}}, 40181),
        ({"$set": {"a": {"b.c": 1}}}, 40183),
        ({"$set": {"$a": 1}}, 16410),
        ({"$set": {"a": {"$foo": 1}}}, 168),
        ({"$unset": 1}, 31002),
        ({"$unset": []}, 31119),
        ({"$unset": [1]}, 31120),
        ({"$unset": ["a", "a.b"]}, 31249),
        ({"$replaceRoot": 1}, 40229),
        ({"$replaceRoot": {"newRoot": "$a", "x": 1}}, 40230),
        ({"$replaceRoot": {}}, 40231),
        ({"$unwind": 1}, 15981),
        ({"$unwind": ""}, 28812),
        ({"$unwind": {}}, 28812),
        ({"$unwind": "a"}, 28818),
        ({"$unwind": {"path": 1}}, 28808),
        ({"$unwind": {"path": "$a", "preserveNullAndEmptyArrays": 1}}, 28809),
        ({"$unwind": {"path": "$a", "includeArrayIndex": ""}}, 28810),
        ({"$unwind": {"path": "$a", "x": ""}}, 28811),
        ({"$unwind": {"path": "$a", "includeArrayIndex": "$i"}}, 28822),
        ({"$unwind": {"path": "$a", "includeArrayIndex": "i..j"}}, 15998),
    ],
    ids=str,
)
def test_refused_when_compiled(stage: dict[str, Any], code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([stage])
    assert (caught.value.code, caught.value.unsupported is None or code == 2) == (code, True)


@pytest.mark.parametrize(
    ("stage", "code"),
    [({"$replaceRoot": {"newRoot": "$a"}}, 40228), ({"$replaceWith": "$none"}, 40228), ({"$redact": "$a"}, 17053)],
    ids=str,
)
def test_refused_for_a_document(stage: dict[str, Any], code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        run([stage], [DOCUMENT])
    assert caught.value.code == code
