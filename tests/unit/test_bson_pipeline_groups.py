"""Stages that gather documents: ``$group $bucket $bucketAuto $sortByCount $count $facet``, and what they may hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.pipeline import compile_pipeline, memory
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import run

Document = dict[str, Any]


def _of(values: Sequence[Any]) -> list[Document]:
    return [{"_id": n} if value is ... else {"_id": n, "a": value} for n, value in enumerate(values)]


def _groups(values: Sequence[Any], **outputs: Any) -> list[bytes]:
    return [encode(found) for found in run([{"$group": {"_id": "$a", **outputs}}], _of(values))]


def _encoded(*documents: Document) -> list[bytes]:
    return [encode(document) for document in documents]


ONE = {"$sum": 1}


def test_null_and_missing_are_one_group() -> None:
    assert _groups([None, ..., 1], n=ONE) == _encoded({"_id": None, "n": 2}, {"_id": 1, "n": 1})  # 81


def test_equal_numbers_are_one_group_under_the_first() -> None:
    values = [Int64(1), 1, 1.0, Decimal128("1.0"), True]
    assert _groups(values, n=ONE) == _encoded({"_id": Int64(1), "n": 4}, {"_id": True, "n": 1})  # 82


def test_the_order_of_fields_tells_groups_apart() -> None:
    found = _groups([{"x": 1, "y": 2}, {"y": 2, "x": 1}], n=ONE)
    assert found == _encoded({"_id": {"x": 1, "y": 2}, "n": 1}, {"_id": {"y": 2, "x": 1}, "n": 1})  # 83


def test_arrays_are_keys_themselves() -> None:
    assert _groups([[1, 2], [1, 2], [2, 1]], n=ONE) == _encoded({"_id": [1, 2], "n": 2}, {"_id": [2, 1], "n": 1})


@pytest.mark.parametrize(
    ("accumulator", "values", "result"),
    [
        ({"$sum": "$a"}, [1, "x", None, ..., 2.5], 3.5),  # 84
        ({"$sum": "$a"}, ["x", None, ...], 0),  # 84
        ({"$sum": "$a"}, [2**31 - 1, 1], Int64(2**31)),
        ({"$sum": "$a"}, [1, Decimal128("0.5")], Decimal128("1.5")),
        ({"$sum": "$a"}, [[1, 2], 3], 3),
        ({"$avg": "$a"}, ["x", None, ...], None),  # 84
        ({"$avg": "$a"}, [1, 2], 1.5),
        ({"$min": "$a"}, [..., None, "x", 3, 2], 2),
        ({"$max": "$a"}, [..., None, "x", 3, [0]], [0]),
        ({"$min": "$a"}, [..., None], None),
        ({"$first": "$a"}, [..., 1], None),
        ({"$last": "$a"}, [1, 2], 2),
        ({"$push": "$a"}, [1, ..., None, 1], [1, None, 1]),
        ({"$addToSet": "$a"}, [1, ..., 1.0, None], [1, None]),
        ({"$count": {}}, [1, ...], 2),
        ({"$mergeObjects": "$a"}, [{"x": 1}, None, {"y": 2, "x": 3}], {"x": 3, "y": 2}),
        ({"$firstN": {"n": 2, "input": "$a"}}, [3, 1, 2], [3, 1]),
        ({"$top": {"sortBy": {"a": -1}, "output": "$a"}}, [3, 1, 5], 5),
    ],
    ids=str,
)
def test_accumulated(accumulator: Document, values: list[Any], result: Any) -> None:
    found = run([{"$group": {"_id": None, "v": accumulator}}], _of(values))
    assert _encoded(*found) == _encoded({"_id": None, "v": result})


def test_no_documents_are_no_group() -> None:
    assert run([{"$group": {"_id": None, "n": ONE}}]) == []
    assert run([{"$count": "n"}]) == []
    assert run([{"$facet": {"all": []}}]) == [{"all": []}]


def test_a_constant_key_is_one_group_and_outputs_keep_their_order() -> None:
    found = run([{"$group": {"z": ONE, "_id": {"k": "$none"}, "a": {"$max": "$_id"}}}], _of([1, 2]))
    assert _encoded(*found) == _encoded({"_id": {}, "z": 2, "a": 1})


def test_bucket() -> None:
    stage: Document = {"$bucket": {"groupBy": "$a", "boundaries": [0, 10, 20.5], "default": "rest"}}
    found = run([stage], _of([5, 0, 10, 20.5, -1, "x", ...]))
    assert _encoded(*found) == _encoded({"_id": 0, "count": 2}, {"_id": 10, "count": 1}, {"_id": "rest", "count": 4})
    stage["$bucket"]["output"] = {"ids": {"$push": "$_id"}}
    assert run([stage], _of([5, 11, 6])) == [{"_id": 0, "ids": [0, 2]}, {"_id": 10, "ids": [1]}]


def test_a_document_in_no_bucket_fails() -> None:
    with pytest.raises(CommandFailure) as caught:
        run([{"$bucket": {"groupBy": "$a", "boundaries": [0, 10]}}], _of([10]))
    assert caught.value.code == 40066


def test_bucket_auto() -> None:
    stage: Document = {"$bucketAuto": {"groupBy": "$a", "buckets": 3}}
    assert run([stage], _of([3, 1, 2, 5, 4, 6, 7])) == [
        {"_id": {"min": 1, "max": 3}, "count": 2},
        {"_id": {"min": 3, "max": 5}, "count": 2},
        {"_id": {"min": 5, "max": 7}, "count": 3},
    ]
    assert run([stage], _of([1, 1, 1, 1, ..., 2])) == [
        {"_id": {"min": None, "max": 2}, "count": 5},
        {"_id": {"min": 2, "max": 2}, "count": 1},
    ]
    assert run([stage], _of([7])) == [{"_id": {"min": 7, "max": 7}, "count": 1}]
    assert run([stage]) == []
    stage["$bucketAuto"]["output"] = {"most": {"$max": "$a"}}
    assert run([stage], _of([1, 2, 3])) == [
        {"_id": {"min": low, "max": high}, "most": low} for low, high in ((1, 2), (2, 3), (3, 3))
    ]


ROUNDED: list[tuple[list[Any], str, int, list[tuple[Any, Any, int]]]] = [
    (list(range(100)), "1-2-5", 5, [(0, 20.0, 20), (20.0, 50.0, 30), (50.0, 100.0, 50)]),
    (list(range(100)), "R20", 5,
     [(0, 20.0, 20), (20.0, 40.0, 20), (40.0, 63.0, 23), (63.0, 90.0, 27), (90.0, 100.0, 10)]),
    (list(range(100)), "E24", 4, [(0, 27.0, 27), (27.0, 56.0, 29), (56.0, 82.0, 26), (82.0, 100.0, 18)]),
    (list(range(100)), "POWERSOF2", 5, [(0, 32, 32), (32, 64, 32), (64, 128, 36)]),
    ([7, 320], "R40", 2, [(6.7, 710 * 0.01, 1), (710 * 0.01, 355.0, 1)]),
    ([100], "R80", 1, [(97.5, 103.0, 1)]),
    ([5e-324], "R80", 8, [(0.0, 1.02e-321, 1)]),
    ([920, 919], "E192", 2, [(909.0, 920.0, 1), (920.0, 931.0, 1)]),
    ([0, 0, 1.5, 2], "R5", 4, [(0, 0, 1), (0, 1.0, 1), (1.0, 1.6, 1), (1.6, 2.5, 1)]),
    ([0.3], "POWERSOF2", 1, [(0.25, 0.5, 1)]),
    ([2**62], "POWERSOF2", 1, [(Int64(2**61), 2.0**63, 1)]),
    ([Decimal128("0.8")], "E6", 1, [(Decimal128("0.68"), Decimal128("1.0"), 1)]),
    ([Decimal128("1E+6144")], "E6", 1, [(Decimal128("6.800000000000000000000000000000000E+6143"),
                                         Decimal128("1.500000000000000000000000000000000E+6144"), 1)]),
    ([Decimal128("8")], "POWERSOF2", 1, [(Decimal128("4"), Decimal128("16"), 1)]),
    ([], "R5", 2, []),
]  # fmt: skip
"""Values, a granularity, how many buckets, and the bounds of each with what is in it."""


@pytest.mark.parametrize(("values", "granularity", "buckets", "expected"), ROUNDED, ids=lambda value: str(value)[:30])
def test_bounds_are_rounded(values: list[Any], granularity: str, buckets: int, expected: list[Any]) -> None:
    stage = {"$bucketAuto": {"groupBy": "$a", "buckets": buckets, "granularity": granularity}}
    documents = [{"_id": {"min": low, "max": high}, "count": count} for low, high, count in expected]
    assert _encoded(*run([stage], _of(values))) == _encoded(*documents)


@pytest.mark.parametrize(
    ("value", "code", "unsupported"),
    [
        ("x", 40258, None),
        (..., 40258, None),
        (Decimal128("NaN"), 40259, None),
        (-1, 40260, None),
        (math.inf, 115, "$bucketAuto granularity of an infinity"),
    ],
)
def test_values_that_are_not_rounded(value: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        run([{"$bucketAuto": {"groupBy": "$a", "buckets": 1, "granularity": "E6"}}], _of([value]))
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_sort_by_count_and_count() -> None:
    documents = _of(["x", "y", "x", "z", "x", "y"])
    found = run([{"$sortByCount": "$a"}], documents)
    assert found == [{"_id": "x", "count": 3}, {"_id": "y", "count": 2}, {"_id": "z", "count": 1}]
    assert run([{"$sortByCount": {"$gt": ["$_id", 3]}}, {"$limit": 1}], documents) == [{"_id": False, "count": 4}]
    assert run([{"$match": {"a": "x"}}, {"$count": "n"}], documents) == [{"n": 3}]


def test_facets_see_the_same_documents_each_to_its_own_end() -> None:
    facets = {
        "few": [{"$limit": 1}, {"$project": {"a": 1}}],
        "all": [],
        "sum": [{"$group": {"_id": None, "v": {"$sum": "$a"}}}],
        "last": [{"$sort": {"a": -1}}, {"$limit": 1}],
    }
    documents = _of([1, 2, 3, 4, 5])
    found = run([{"$match": {"a": {"$gt": 1}}}, {"$facet": facets}, {"$set": {"n": {"$size": "$all"}}}], documents)
    assert found == [
        {"few": documents[1:2], "all": documents[1:], "sum": [{"_id": None, "v": 14}], "last": documents[4:], "n": 4}
    ]


def test_what_a_stage_holds_is_bounded_without_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LIMIT", 1_000_000)
    documents = [{"_id": n, "a": "x" * 1000} for n in range(1_200)]
    stages: list[Document] = [
        {"$sort": {"a": 1}},
        {"$facet": {"all": []}},
        {"$bucketAuto": {"groupBy": "$a", "buckets": 2}},
    ]
    for stage in stages:
        assert run([stage, {"$count": "n"}], documents, batch=100)
        with pytest.raises(CommandFailure) as caught:
            run([stage, {"$count": "n"}], documents, batch=100, disk=False)
        assert caught.value.code == 292
    assert run([{"$sort": {"a": 1}}, {"$limit": 2}], documents, batch=100, disk=False) == documents[:2]


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ({"$group": 1}, 15947),
        ({"$group": {"a": ONE}}, 15955),
        ({"$group": {"_id": 1, "a": 1}}, 40234),
        ({"$group": {"_id": 1, "a.b": ONE}}, 40235),
        ({"$group": {"_id": 1, "$a": ONE}}, 40236),
        ({"$group": {"_id": 1, "a": {"$sum": [1, 2]}}}, 40237),
        ({"$group": {"_id": 1, "a": {"$sum": 1, "$max": 1}}}, 40238),
        ({"$group": {"_id": 1, "a": {"$foo": 1}}}, 15952),
        ({"$count": 1}, 40156),
        ({"$count": ""}, 40157),
        ({"$count": "$a"}, 40158),
        ({"$count": "a\0"}, 40159),
        ({"$count": "a.b"}, 40160),
        ({"$sortByCount": 1}, 40149),
        ({"$sortByCount": "a"}, 40148),
        ({"$sortByCount": {"a": 1}}, 40147),
        ({"$bucket": 1}, 40201),
        ({"$bucket": {"x": 1}}, 40197),
        ({"$bucket": {"groupBy": "$a"}}, 40198),
        ({"$bucket": {"groupBy": "a", "boundaries": [1, 2]}}, 40202),
        ({"$bucket": {"groupBy": {"a": 1}, "boundaries": [1, 2]}}, 40202),
        ({"$bucket": {"groupBy": "$a", "boundaries": 1}}, 40200),
        ({"$bucket": {"groupBy": "$a", "boundaries": ["$b", 2]}}, 40191),
        ({"$bucket": {"groupBy": "$a", "boundaries": [1]}}, 40192),
        ({"$bucket": {"groupBy": "$a", "boundaries": [1, "x"]}}, 40193),
        ({"$bucket": {"groupBy": "$a", "boundaries": [2, 1.0]}}, 40194),
        ({"$bucket": {"groupBy": "$a", "boundaries": [1, 2], "default": "$b"}}, 40195),
        ({"$bucket": {"groupBy": "$a", "boundaries": [1, 2], "output": 1}}, 40196),
        ({"$bucket": {"groupBy": "$a", "boundaries": [1, 2], "default": 1.5}}, 40199),
        ({"$bucketAuto": 1}, 40240),
        ({"$bucketAuto": {"x": 1}}, 40245),
        ({"$bucketAuto": {"groupBy": "$a"}}, 40246),
        ({"$bucketAuto": {"groupBy": "a", "buckets": 1}}, 40239),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": "1"}}, 40241),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": Decimal128("1.5")}}, 40242),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": 2**31}}, 40242),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": 0}}, 40243),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": 1, "output": 1}}, 40244),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": 1, "granularity": 5}}, 40261),
        ({"$bucketAuto": {"groupBy": "$a", "buckets": 1, "granularity": "R7"}}, 40257),
        ({"$facet": {}}, 40169),
        ({"$facet": {"a": 1}}, 40170),
        ({"$facet": {"a": [1]}}, 40171),
        ({"$facet": {"": []}}, 15998),
        ({"$facet": {"$a": []}}, 16410),
        ({"$facet": {"a.b": []}}, 16412),
        ({"$facet": {"a": [{"$facet": {"b": []}}]}}, 40600),
        ({"$facet": {"a": [{"$out": "b"}]}}, 40600),
    ],
    ids=str,
)
def test_refused(stage: Document, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([stage])
    assert (caught.value.code, caught.value.unsupported) == (code, None)
