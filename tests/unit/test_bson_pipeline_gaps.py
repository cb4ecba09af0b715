"""``$densify`` and ``$fill``: what is made where documents or fields are missing."""

from __future__ import annotations

from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.pipeline import compile_pipeline, densify, memory
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import run
from tests.unit.test_bson_pipeline_series import on

Document = dict[str, Any]
Stages = list[Document]


def _densify(bounds: Any, step: Any = 1, *by: str, **more: Any) -> Stages:
    partition = {"partitionByFields": list(by)} if by else {}
    return [{"$densify": {"field": "x", **partition, "range": {"step": step, "bounds": bounds, **more}}}]


def _of(values: list[Any]) -> list[Document]:
    return [{"_id": n} if value is ... else {"_id": n, "x": value} for n, value in enumerate(values)]


PAIRS: list[Document] = [{"_id": 1, "p": "a", "x": 1}, {"_id": 2, "p": "b", "x": 2}, {"_id": 3, "p": "a", "x": 4}]

DENSIFIED: dict[str, tuple[list[Document], Stages, list[Document]]] = {
    "full": (_of([0, 3, ..., None, 1.5]), _densify("full"),
             [{"_id": 2}, {"_id": 3, "x": None}, {"_id": 0, "x": 0}, {"x": 1}, {"_id": 4, "x": 1.5}, {"x": 2},
              {"_id": 1, "x": 3}]),
    "full of none": ([], _densify("full"), []),
    "full of longs": (_of([Int64(1), Int64(3)]), _densify("full"),
                      [{"_id": 0, "x": Int64(1)}, {"x": Int64(2)}, {"_id": 1, "x": Int64(3)}]),
    "full by halves": (_of([1, 2]), _densify("full", 0.5), [{"_id": 0, "x": 1}, {"x": 1.5}, {"_id": 1, "x": 2}]),
    "full of decimals": (_of([Decimal128("1"), 2]), _densify("full", Decimal128("0.5")),
                         [{"_id": 0, "x": Decimal128("1")}, {"x": Decimal128("1.5")}, {"_id": 1, "x": 2}]),
    "within bounds": (_of([-5, 0, 2, 7]), _densify([0, 5], 2),
                      [{"_id": 0, "x": -5}, {"_id": 1, "x": 0}, {"_id": 2, "x": 2}, {"x": 4}, {"_id": 3, "x": 7}]),
    "within bounds beside the steps": (_of([1]), _densify([0, 4], 2), [{"x": 0}, {"_id": 0, "x": 1}, {"x": 2}]),
    "within bounds of none": ([], _densify([0, 3]), [{"x": 0}, {"x": 1}, {"x": 2}]),
    "by days": (_of([on(1), on(3)]), _densify("full", 1, unit="day"),
                [{"_id": 0, "x": on(1)}, {"x": on(2)}, {"_id": 1, "x": on(3)}]),
    "by months": (_of([on(31), on(60)]), _densify([on(31), on(92)], 1, unit="month"),
                  [{"_id": 0, "x": on(31)}, {"_id": 1, "x": on(60)}, {"x": on(89)}]),
    "full of partitions": (PAIRS, [*_densify("full", 1, "p"), {"$sort": {"p": 1, "x": 1}}],
                           [PAIRS[0], {"p": "a", "x": 2}, {"p": "a", "x": 3}, PAIRS[2], {"p": "b", "x": 1}, PAIRS[1],
                            {"p": "b", "x": 3}, {"p": "b", "x": 4}]),
    "by partition": (PAIRS, _densify("partition", 1, "p"),
                     [PAIRS[0], {"p": "a", "x": 2}, {"p": "a", "x": 3}, PAIRS[2], PAIRS[1]]),
    "within bounds by partition": (PAIRS, [*_densify([1, 3], 1, "p"), {"$sort": {"p": 1, "x": 1}}],
                                   [PAIRS[0], {"p": "a", "x": 2}, PAIRS[2], {"p": "b", "x": 1}, PAIRS[1]]),
    "a path": ([{"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}],
               [{"$densify": {"field": "a.x", "range": {"step": 1, "bounds": "full"}}}],
               [{"a": {"x": 1, "y": 2}}, {"a": {"x": 2}}, {"a": {"x": 3}}]),
    "a path beside a partition": ([{"a": {"p": 0, "x": 1}}, {"a": {"p": 0, "x": 3}}],
                                  [{"$densify": {"field": "a.x", "partitionByFields": ["a.p"],
                                                 "range": {"step": 1, "bounds": "partition"}}}],
                                  [{"a": {"p": 0, "x": 1}}, {"a": {"p": 0, "x": 2}}, {"a": {"p": 0, "x": 3}}]),
}  # fmt: skip

GAPS: list[Document] = [
    {"_id": 1, "p": 0, "v": 1},
    {"_id": 2, "p": 0, "v": None},
    {"_id": 3, "p": 1},
    {"_id": 4, "p": 0, "v": 4},
]

FILLED: dict[str, tuple[list[Document], Stages, list[Document]]] = {
    "a value": (GAPS, [{"$fill": {"output": {"v": {"value": "$p"}, "w": {"value": 5}}}}],
                [{"_id": 1, "p": 0, "v": 1, "w": 5}, {"_id": 2, "p": 0, "v": 0, "w": 5},
                 {"_id": 3, "p": 1, "v": 1, "w": 5}, {"_id": 4, "p": 0, "v": 4, "w": 5}]),
    "the last value": (GAPS, [{"$fill": {"sortBy": {"_id": 1}, "output": {"v": {"method": "locf"}}}}],
                       [{"_id": 1, "p": 0, "v": 1}, {"_id": 2, "p": 0, "v": 1}, {"_id": 3, "p": 1, "v": 1},
                        {"_id": 4, "p": 0, "v": 4}]),
    "on a line": (GAPS, [{"$fill": {"sortBy": {"_id": 1}, "output": {"v": {"method": "linear"}}}}],
                  [{"_id": 1, "p": 0, "v": 1}, {"_id": 2, "p": 0, "v": 2.0}, {"_id": 3, "p": 1, "v": 3.0},
                   {"_id": 4, "p": 0, "v": 4}]),
    "fields by partition": (GAPS, [{"$fill": {"partitionByFields": ["p"], "sortBy": {"_id": 1},
                                       "output": {"v": {"method": "linear"}, "w": {"value": "$v"}}}}],
                     [{"_id": 1, "p": 0, "v": 1, "w": 1}, {"_id": 2, "p": 0, "v": 2.0, "w": 2.0},
                      {"_id": 4, "p": 0, "v": 4, "w": 4}, {"_id": 3, "p": 1, "v": None, "w": None}]),
    "fields by an expression": (GAPS, [{"$fill": {"partitionBy": {"k": "$p"}, "sortBy": {"_id": 1},
                                           "output": {"v": {"method": "locf"}}}}],
                         [{"_id": 1, "p": 0, "v": 1}, {"_id": 2, "p": 0, "v": 1}, {"_id": 4, "p": 0, "v": 4},
                          {"_id": 3, "p": 1, "v": None}]),
    "nothing": (GAPS, [{"$fill": {"output": {"v": {}}}}], GAPS),
}  # fmt: skip

CASES = DENSIFIED | FILLED
"""Documents, stages, and what comes of them in its order."""


@pytest.mark.parametrize("name", CASES)
def test_gaps(name: str) -> None:
    documents, stages, expected = CASES[name]
    assert [encode(found) for found in run(stages, documents)] == [encode(document) for document in expected]


def test_what_it_makes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(densify, "_MAX_GENERATED", 100)
    assert len(run(_densify([0, 100]))) == 100
    for documents, stages in (([], _densify([0, 101])), (_of([1e300, 2e300]), _densify("full"))):
        with pytest.raises(CommandFailure) as caught:
            run(stages, documents)
        assert caught.value.code == 5897900


def test_it_holds_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LIMIT", 1_000)
    with pytest.raises(CommandFailure) as caught:
        run(_densify("full"), _of(list(range(100))), disk=False)
    assert caught.value.code == 292


@pytest.mark.parametrize(
    ("documents", "stages", "code"),
    [
        (_of(["x"]), _densify("full"), 5733201),
        (_of([on(1)]), _densify("full"), 6053600),
        (_of([1]), _densify("full", 1, unit="day"), 6053600),
        (_of(["text", None]), [{"$fill": {"sortBy": {"_id": 1}, "output": {"x": {"method": "linear"}}}}], 14),
    ],
    ids=str,
)
def test_values_that_are_not_taken(documents: list[Document], stages: Stages, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        run(stages, documents)
    assert (caught.value.code, caught.value.unsupported) == (code, None)


def _range(**changes: Any) -> Document:
    range = {"step": 1, "bounds": "full", **changes}
    return {"$densify": {"field": "x", "range": {name: value for name, value in range.items() if value is not ...}}}


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        ({"$densify": 5}, 9),
        ({"$densify": {"field": "x"}}, 40414),
        ({"$densify": {"range": {"step": 1, "bounds": "full"}}}, 40414),
        ({"$densify": {"field": "x", "range": {"step": 1, "bounds": "full"}, "y": 1}}, 40415),
        ({"$densify": {"field": 5, "range": {"step": 1, "bounds": "full"}}}, 14),
        ({"$densify": {"field": "x", "range": 5}}, 14),
        ({"$densify": {"field": "x", "partitionByFields": "p", "range": {"step": 1, "bounds": "full"}}}, 14),
        ({"$densify": {"field": "x", "partitionByFields": [5], "range": {"step": 1, "bounds": "full"}}}, 14),
        ({"$densify": {"field": "x", "partitionByFields": ["x"], "range": {"step": 1, "bounds": "full"}}}, 8993000),
        ({"$densify": {"field": "x.y", "partitionByFields": ["x"], "range": {"step": 1, "bounds": "full"}}}, 8993000),
        ({"$densify": {"field": "$x", "range": {"step": 1, "bounds": "full"}}}, 16410),
        (_range(y=1), 40415),
        (_range(step=...), 40414),
        (_range(bounds=...), 40414),
        (_range(step=0), 5733401),
        (_range(step=-1), 5733401),
        (_range(step="1"), 5733401),
        (_range(step=1.5, unit="day"), 6586400),
        (_range(unit="eon"), 9),
        (_range(unit=5), 14),
        (_range(bounds="all"), 5946802),
        (_range(bounds="partition"), 5733408),
        (_range(bounds=5), 5733404),
        (_range(bounds=[1]), 5733403),
        (_range(bounds=[2, 1]), 5733402),
        (_range(bounds=[1, on(1)]), 5733406),
        (_range(bounds=[1, 2], unit="day"), 5733409),
        (_range(bounds=[1, 2.0]), 5876900),
        (_range(bounds=[on(1), Decimal128("1")]), 5733402),
        (_range(bounds=[on(1), on(2)]), 5733410),
        (_range(bounds=["a", "b"]), 5946800),
        (_range(bounds=[DatetimeMS(1), DatetimeMS(0)], unit="day"), 5733402),
        ({"$fill": 5}, 9),
        ({"$fill": {}}, 40414),
        ({"$fill": {"output": {}, "x": 1}}, 40415),
        ({"$fill": {"output": {}}}, 6050203),
        ({"$fill": {"output": 5}}, 14),
        ({"$fill": {"output": {"v": 5}}}, 6050200),
        ({"$fill": {"output": {"v": {"value": 5, "method": "locf"}}}}, 6050201),
        ({"$fill": {"output": {"v": {"method": "other"}}}}, 6050202),
        ({"$fill": {"output": {"v": {"method": 5}}}}, 14),
        ({"$fill": {"output": {"v": {"x": 5}}}}, 40415),
        ({"$fill": {"output": {"v": {"value": 5}}, "sortBy": 5}}, 14),
        ({"$fill": {"output": {"v": {"value": 5}}, "partitionBy": 5}}, 14),
        ({"$fill": {"output": {"v": {"value": 5}}, "partitionByFields": "p"}}, 14),
        ({"$fill": {"output": {"v": {"value": 5}}, "partitionByFields": ["p"], "partitionBy": "$p"}}, 6050204),
        ({"$fill": {"output": {"v": {"method": "linear"}}}}, 605001),
    ],
    ids=str,
)
def test_refused(stage: Document, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([stage])
    assert (caught.value.code, caught.value.unsupported) == (code, None)
