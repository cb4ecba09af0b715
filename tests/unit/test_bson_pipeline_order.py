"""Order and windows: ``$sort $skip $limit $sample``, what a query can do of a pipeline, and what a pipeline is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.pipeline import Batch, Context, Leading, compile_pipeline, leading
from shadow_adapters.bson.pipeline.sort import scores_first
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import Collections, run

Document = dict[str, Any]
DOCUMENTS: list[Document] = [{"_id": n, "a": value} for n, value in enumerate([3, 1, None, [0, 9], 2, 1])]


def _ids(*stages: Document) -> list[int]:
    return [found["_id"] for found in run(list(stages), DOCUMENTS)]


def test_sort_skip_limit() -> None:
    assert _ids({"$sort": {"a": 1}}) == [2, 3, 1, 5, 4, 0]
    assert _ids({"$sort": {"a": -1}}) == [3, 0, 4, 1, 5, 2]
    assert _ids({"$sort": {"a": 1}}, {"$limit": 3}) == [2, 3, 1]
    assert _ids({"$sort": {"a": 1}}, {"$skip": 2}, {"$limit": 2}) == [1, 5]
    assert _ids({"$sort": {"a": 1}}, {"$limit": 4}, {"$skip": 3}) == [5]
    assert _ids({"$sort": {"a": 1}}, {"$limit": 2}, {"$skip": 3}) == []
    assert _ids({"$skip": 1}, {"$limit": 2}) == [1, 2]
    assert _ids({"$limit": 2}, {"$sort": {"a": 1}}) == [1, 0]
    assert _ids({"$skip": 0}) == [0, 1, 2, 3, 4, 5]
    assert _ids({"$limit": Decimal128("2.0")}) == [0, 1]
    assert _ids({"$skip": Int64(5)}) == [5]


def test_sample_takes_so_many_and_not_always_the_same() -> None:
    drawn = {tuple(sorted(_ids({"$sample": {"size": 2}}))) for _ in range(100)}
    assert len(drawn) > 5
    assert all(len(ids) == 2 for ids in drawn)
    assert sorted(_ids({"$sample": {"size": 100}})) == [0, 1, 2, 3, 4, 5]


async def test_a_limit_ends_the_reading() -> None:
    read = 0

    async def source() -> AsyncGenerator[Batch]:
        nonlocal read
        for n in range(100):
            read += 1
            yield [{"_id": n}]

    pipeline = compile_pipeline([{"$match": {"_id": {"$gt": 2}}}, {"$limit": 2}, {"$project": {"_id": 1}}])
    found = [out async for out in pipeline.run(source(), Context({}, Collections({})))]
    assert found == [[{"_id": 3}], [{"_id": 4}]]
    assert read == 5


SORT = {"a": 1, "_id": -1}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([], Leading({})),
        ([{"$match": {}}], Leading({}, stages=1)),
        ([{"$match": {"a": 1}}, {"$match": {"b": 1}}], Leading({"$and": [{"a": 1}, {"b": 1}]}, stages=2)),
        ([{"$sort": SORT}, {"$match": {"a": 1}}], Leading({}, SORT, stages=1)),
        ([{"$match": {"a": 1}}, {"$sort": SORT}, {"$skip": 2}], Leading({"a": 1}, SORT, 2, 0, 3)),
        ([{"$limit": 5}, {"$skip": 2}, {"$limit": 9}], Leading({}, None, 2, 3, 3)),
        ([{"$skip": 1}, {"$skip": 2}, {"$limit": 9}, {"$limit": 4}], Leading({}, None, 3, 4, 4)),
        ([{"$limit": 2}, {"$skip": 2}], Leading({}, None, 0, 2, 1)),
        ([{"$limit": 2}, {"$sort": SORT}], Leading({}, None, 0, 2, 1)),
        ([{"$group": {"_id": 1}}, {"$match": {"a": 1}}], Leading({})),
    ],
    ids=str,
)
def test_leading(stages: list[Document], expected: Leading) -> None:
    assert leading(stages) == expected


@pytest.mark.parametrize(
    ("stages", "code", "unsupported"),
    [
        ({"$match": {}}, 14, None),
        ([1], 14, None),
        ([{}], 40323, None),
        ([{"$match": {}, "$limit": 1}], 40323, None),
        ([{"$foo": 1}], 40324, None),
        ([{"$merge": "x"}], 115, "aggregate $merge"),
        ([{"$out": "x"}], 115, "aggregate $out"),
        ([{"$out": "x"}, {"$match": {}}], 40601, None),
        ([{"$merge": "x"}, {"$out": "x"}], 40601, None),
        ([{"$geoNear": {}}], 115, "aggregate $geoNear"),
        ([{"$limit": 1}] * 1001, 7749501, None),
        ([{"$sort": 1}], 15973, None),
        ([{"$sort": {}}], 15976, None),
        ([{"$sort": {"a": "x"}}], 15974, None),
        ([{"$sort": {"a": 2}}], 15975, None),
        ([{"$sort": {"a": {"$meta": "textScore"}}}], 40218, None),
        ([{"$sort": {"a": {"$meta": "randVal"}}}], 40218, "$meta randVal"),
        ([{"$skip": "x"}], 5107200, None),
        ([{"$skip": -1}], 5107200, None),
        ([{"$skip": 1.5}], 5107200, None),
        ([{"$limit": "x"}], 5107201, None),
        ([{"$limit": -1}], 5107201, None),
        ([{"$limit": float("nan")}], 5107201, None),
        ([{"$limit": Decimal128("sNaN")}], 5107201, None),
        ([{"$limit": 0}], 15958, None),
        ([{"$sample": 1}], 28745, None),
        ([{"$sample": {"size": "x"}}], 28746, None),
        ([{"$sample": {"size": Decimal128("-1")}}], 28747, None),
        ([{"$sample": {"size": 0.5}}], 28747, None),
        ([{"$sample": {"x": 1}}], 28748, None),
        ([{"$sample": {}}], 28749, None),
    ],
    ids=lambda value: str(value)[:50],
)
def test_refused(stages: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline(stages)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


_BY_SCORE = {"$sort": {"s": {"$meta": "textScore"}}}


@pytest.mark.parametrize(
    ("stages", "order"),
    [
        ([{"$match": 1}, {"$project": 2}, _BY_SCORE], [0, 2, 1]),
        ([{"$match": 1}, {"$match": 2}, _BY_SCORE], [0, 1, 2]),
        ([{"$match": 1}, {"$set": 2}, {"$match": 3}, {"$unset": 4}, _BY_SCORE, {"$limit": 5}], [0, 4, 1, 2, 3, 5]),
        ([{"$match": 1}, {"$project": 2}, {"$limit": 3}, {"$set": 4}, _BY_SCORE], [0, 1, 2, 4, 3]),
        ([{"$project": 1}, {"$sort": {"s": {"$meta": "textScore"}, "a": 1}}], [0, 1]),
        ([5, _BY_SCORE], [0, 1]),
    ],
)
def test_a_sort_by_score_comes_before_what_makes_other_documents(stages: list[Any], order: list[int]) -> None:
    assert scores_first(stages) == [stages[place] for place in order]
