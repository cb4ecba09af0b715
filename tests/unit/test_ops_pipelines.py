"""What a pipeline reads beside its collection, and what two stores must agree on."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare.differ import difference
from shadow.compare.kinds import COMPUTED, GATHERED, RESULT, Call
from shadow.ops.pipelines import collections_read, promised, writes

Stages = list[dict[str, Any]]

GROUP: dict[str, Any] = {"$group": {"_id": "$a", "n": {"$sum": 1}}}
LOOKUP: dict[str, Any] = {"$lookup": {"from": "b", "localField": "x", "foreignField": "y", "as": "z"}}


@pytest.mark.parametrize(
    ("pipeline", "names"),
    [
        ([], ()),
        ([LOOKUP, {"$unionWith": "c"}, LOOKUP], ("b", "c")),
        ([{"$unionWith": {"coll": "c", "pipeline": [LOOKUP]}}], ("c", "b")),
        ([{"$unionWith": {"pipeline": [{"$documents": []}]}}], ()),
        ([{"$facet": {"x": [{"$graphLookup": {"from": "d"}}], "y": [GROUP]}}], ("d",)),
        ([{"$lookup": {"from": "e", "pipeline": [{"$facet": {"x": [LOOKUP]}}]}}], ("e", "b")),
        ([{"$lookup": {"from": 5}}, {"$facet": 5}, {"$lookup": 5}, 5], ()),
        ({"$lookup": {"from": "b"}}, ()),
    ],
    ids=str,
)
def test_collections_read(pipeline: Any, names: tuple[str, ...]) -> None:
    assert collections_read(pipeline) == names


def test_only_the_last_stage_writes() -> None:
    assert writes([GROUP, {"$out": "x"}])
    assert writes([{"$merge": {"into": "x"}}])
    assert not any(writes(pipeline) for pipeline in ([], [{"$out": "x"}, GROUP], None, [5], {"$out": "x"}))


@pytest.mark.parametrize(
    ("pipeline", "promise"),
    [
        ([], COMPUTED),
        ([{"$match": {"a": 1}}, {"$project": {"a": 1}}], COMPUTED),
        ([{"$sort": {"a": 1}}], COMPUTED),
        ([{"$sort": {"a": 1, "_id": 1}}], RESULT),
        ([{"$sort": {"_id": 1}}, {"$limit": 5}, {"$set": {"b": "$a"}}], RESULT),
        ([{"$sort": {"_id": 1}}, {"$unwind": "$a"}], RESULT),
        ([{"$limit": 5}], None),
        ([{"$sort": {"a": 1}}, {"$skip": 5}], None),
        ([{"$unwind": "$a"}, {"$sort": {"_id": 1}}, {"$limit": 1}], None),
        ([{"$set": {"_id.x": 1}}, {"$sort": {"_id": 1}}, {"$limit": 1}], None),
        ([{"$replaceWith": "$a"}, {"$sort": {"_id": 1}}, {"$limit": 1}], None),
        ([GROUP], GATHERED),
        ([GROUP, {"$sort": {"_id": 1}}, {"$limit": 3}], GATHERED),
        ([GROUP, {"$limit": 3}], None),
        ([{"$group": {"_id": None, "a": {"$max": "$a"}, "b": {"$avg": "$b"}}}], GATHERED),
        ([{"$group": {"_id": None, "a": {"$push": "$a"}}}], None),
        ([{"$group": {"_id": None, "a": {"$stdDevPop": "$a"}}}], None),
        ([{"$sort": {"_id": 1}}, {"$group": {"_id": None, "a": {"$first": "$a"}}}], GATHERED),
        ([{"$sort": {"a": 1}}, {"$group": {"_id": None, "a": {"$first": "$a"}}}], None),
        ([{"$bucket": {"groupBy": "$a", "boundaries": [1, 2]}}], GATHERED),
        ([{"$bucketAuto": {"groupBy": "$a", "buckets": 2, "output": {"a": {"$last": "$a"}}}}], None),
        ([{"$sortByCount": "$a"}], GATHERED),
        ([{"$match": {}}, {"$count": "n"}], RESULT),
        ([{"$sample": {"size": 1}}], None),
        ([{"$match": {"$expr": {"$lt": ["$at", "$$NOW"]}}}], None),
        ([{"$set": {"r": {"$rand": {}}}}], None),
        ([LOOKUP], None),
        ([{"$facet": {}}], None),
        ([{"$unknown": {}}], None),
    ],
    ids=str,
)
def test_promised(pipeline: Stages, promise: Call | None) -> None:
    assert promised(pipeline) == promise


def test_computed_documents_are_compared_as_a_bag() -> None:
    left, right = [{"_id": 1, "n": 2}, {"_id": 2, "n": 3}], [{"_id": 2, "n": 3}, {"_id": 1, "n": 2}]
    assert difference(COMPUTED, left, right) is None
    assert difference(RESULT, left, right) is not None
    assert difference(COMPUTED, left, left + left) is not None
    found = difference(COMPUTED, left, [{"_id": 2, "n": 4}, {"_id": 1, "n": 2}])
    assert found is not None
    assert (found.path, found.has_id) == ("[1].n", False)


def test_of_equal_values_any_may_stand_for_a_group() -> None:
    left, right = [{"_id": 1, "n": 2}], [{"_id": 1.0, "n": 2}]
    assert difference(GATHERED, left, right) is None
    assert difference(COMPUTED, left, right) is not None
    assert difference(GATHERED, left, [{"_id": 1, "n": 3}]) is not None
