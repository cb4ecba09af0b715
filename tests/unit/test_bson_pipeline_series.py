"""``$setWindowFields`` over numbers and dates: windows of ranges, rates, moving averages, and what fills gaps."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.pipeline import compile_pipeline
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import run, run_async

Document = dict[str, Any]
HOUR = 3_600_000


def on(day: int, hour: int = 0) -> DatetimeMS:
    """A moment in January 2024."""
    return DatetimeMS(1_704_067_200_000 + ((day - 1) * 24 + hour) * HOUR)


DOCUMENTS: list[Document] = [
    {"_id": 1, "x": 1, "d": on(1), "v": 2, "g": None},
    {"_id": 2, "x": 2.5, "d": on(2), "v": 4.0, "g": 10},
    {"_id": 3, "x": 2.5, "d": on(2), "v": Int64(1)},
    {"_id": 4, "x": 4, "d": on(9), "v": 7, "g": None},
    {"_id": 5, "x": Int64(9), "d": on(31), "v": 3, "g": 30},
]
"""In the order of ``x`` and of ``d``."""


def _range(low: Any, high: Any, **unit: str) -> Document:
    return {"window": {"range": [low, high], **unit}}


def _documents(low: Any, high: Any) -> Document:
    return {"window": {"documents": [low, high]}}


BY_NUMBER: list[tuple[Document, list[Any]]] = [
    ({"$push": "$_id", **_range(-1.5, 0)}, [[1], [1, 2, 3], [1, 2, 3], [2, 3, 4], [5]]),
    ({"$push": "$_id", **_range(0, 0)}, [[1], [2, 3], [2, 3], [4], [5]]),
    ({"$push": "$_id", **_range(1, 2)}, [[2, 3], [4], [4], [], []]),
    ({"$push": "$_id", **_range("unbounded", -2)}, [[], [], [], [1], [1, 2, 3, 4]]),
    ({"$push": "$_id", **_range(1, "unbounded")}, [[2, 3, 4, 5], [4, 5], [4, 5], [5], []]),
    ({"$sum": "$v", **_range("unbounded", "unbounded")}, [17.0] * 5),
    ({"$sum": "$v", **_range(5, 6)}, [0, 0, 0, 3, 0]),
    ({"$count": {}, **_range({"$subtract": [0, 2]}, Decimal128("0.5"))}, [1, 3, 3, 3, 1]),
    ({"$derivative": {"input": "$v"}, **_documents("unbounded", "current")},
     [None, 2.0 / 1.5, -1.0 / 1.5, 5.0 / 3, 1.0 / 8]),
    ({"$derivative": {"input": "$v"}, **_documents(1, 2)}, [None, 4.0, -0.8, None, None]),
    ({"$integral": {"input": "$v"}, **_documents("unbounded", "current")}, [0, 4.5, 4.5, 10.5, 35.5]),
    ({"$integral": {"input": "$v"}, **_range(1, 2)}, [0.0, 0, 0, None, None]),
    ({"$integral": {"input": "$v"}}, [35.5] * 5),
    ({"$expMovingAvg": {"input": "$v", "N": 3}}, [2.0, 3.0, 2.0, 4.5, 3.75]),
    ({"$expMovingAvg": {"input": "$v", "alpha": 0.25}}, [2.0, 2.5, 2.125, 3.34375, 3.2578125]),
    ({"$expMovingAvg": {"input": "$g", "N": 1}}, [None, 10.0, 10.0, 10.0, 30.0]),
    ({"$expMovingAvg": {"input": {"$toDecimal": "$v"}, "N": 3}},
     [Decimal128(text) for text in ("2", "3.0" + 14 * "0", "2.0" + 15 * "0", "4.50" + 15 * "0", "3.750" + 15 * "0")]),
    ({"$covariancePop": ["$x", "$v"], **_documents("unbounded", "current")},
     [0.0, 0.75, 0.5 / 3, 1.875, 0.9800000000000001]),
    ({"$covarianceSamp": ["$x", "$v"], **_documents(-1, 0)}, [None, 1.5, 0.0, 4.5, -10.0]),
    ({"$covarianceSamp": ["$x", "$none"]}, [None] * 5),
    ({"$covariancePop": [1, math.inf], **_documents(0, 0)}, [None] * 5),
    ({"$locf": "$g"}, [None, 10, 10, 10, 30]),
    ({"$locf": "$none"}, [None] * 5),
]  # fmt: skip

BY_DATE: list[tuple[Document, list[Any]]] = [
    ({"$push": "$_id", **_range(-1, 0, unit="day")}, [[1], [1, 2, 3], [1, 2, 3], [4], [5]]),
    ({"$push": "$_id", **_range(-1, 0, unit="month")}, [[1], [1, 2, 3], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]]),
    ({"$push": "$_id", **_range(0, 1, unit="week")}, [[1, 2, 3], [2, 3, 4], [2, 3, 4], [4], [5]]),
    ({"$push": "$_id", **_range("unbounded", -24, unit="hour")}, [[], [1], [1], [1, 2, 3], [1, 2, 3, 4]]),
    (
        {"$derivative": {"input": "$v", "unit": "day"}, **_documents(-1, 0)},
        [None, 2.0, None, 0.8571428571428572, -4.0 / 22],
    ),
    ({"$integral": {"input": "$v", "unit": "day"}, **_documents(-1, 0)}, [0.0, 3.0, 0.0, 28.0, 110.0]),
]
"""Each output with its value for every document."""


def _outputs(output: Document, documents: list[Document], by: str) -> list[bytes]:
    stage = {"$setWindowFields": {"sortBy": {by: 1}, "output": {"o": output}}}
    return [encode({"o": document["o"]}) for document in run([stage], documents)]


@pytest.mark.parametrize(("output", "values"), BY_NUMBER, ids=str)
def test_by_number(output: Document, values: list[Any]) -> None:
    assert _outputs(output, DOCUMENTS, "x") == [encode({"o": value}) for value in values]


@pytest.mark.parametrize(("output", "values"), BY_DATE, ids=str)
def test_by_date(output: Document, values: list[Any]) -> None:
    assert _outputs(output, DOCUMENTS, "d") == [encode({"o": value}) for value in values]


LINE: list[Document] = [{"_id": n, "v": value} for n, value in enumerate([None, 1, None, ..., 4.0, 2, None])]
LINE = [{name: value for name, value in document.items() if value is not ...} for document in LINE]


def test_gaps_between_two_numbers_are_filled() -> None:
    assert _outputs({"$linearFill": "$v"}, LINE, "_id") == [
        encode({"o": value}) for value in (None, 1, 2.0, 3.0, 4.0, 2, None)
    ]
    decimals = [{"_id": n, "v": value} for n, value in enumerate([Decimal128("1"), None, 2])]
    assert _outputs({"$linearFill": "$v"}, decimals, "_id")[1] == encode({"o": Decimal128("1.5")})
    dates = [{"_id": n, "d": on(day), "v": value} for n, (day, value) in enumerate([(1, 0), (2, None), (5, 8)])]
    assert _outputs({"$linearFill": "$v"}, dates, "d") == [encode({"o": value}) for value in (0, 2.0, 8)]


def test_gaps_are_filled_within_a_partition() -> None:
    documents = [{"_id": n, "p": n % 2, "v": value} for n, value in enumerate([1, 10, None, None, 3, None])]
    stage = {
        "$setWindowFields": {
            "partitionBy": "$p",
            "sortBy": {"_id": 1},
            "output": {"line": {"$linearFill": "$v"}, "last": {"$locf": "$v"}},
        }
    }
    found = [(each["_id"], each["line"], each["last"]) for each in run([stage], documents)]
    assert found == [(0, 1, 1), (2, 2.0, 1), (4, 3, 3), (1, 10, 10), (3, None, 10), (5, None, 10)]


def test_what_is_not_finite_makes_a_covariance_so() -> None:
    documents = [{"_id": n, "v": value} for n, value in enumerate([1, 2, math.inf, 3, Decimal128("-Infinity")])]
    found = _outputs({"$covariancePop": ["$_id", "$v"], **_documents("unbounded", "current")}, documents, "_id")
    values = [0.0, 0.25, math.inf, math.inf, Decimal128("NaN")]
    assert found == [encode({"o": value}) for value in values]


def test_a_point_that_is_no_number_makes_an_integral_so() -> None:
    documents = [{"_id": n, "v": value} for n, value in enumerate([1, Decimal128("NaN"), 3, 5])]
    found = _outputs({"$integral": {"input": "$v"}, **_documents(-1, 0)}, documents, "_id")
    assert found == [encode({"o": value}) for value in (0, math.nan, math.nan, 4.0)]


async def test_others_have_their_turn_between_wide_windows() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    documents = [{"_id": n} for n in range(1_000)]
    stage = {"$setWindowFields": {"sortBy": {"_id": 1}, "output": {"n": {"$count": {}, **_range(-50, 50)}}}}
    found = await run_async([stage], documents, batch=1_000)
    beside.cancel()
    assert [found[at]["n"] for at in (0, 500, 999)] == [51, 101, 51]
    assert turns >= 5


@pytest.mark.parametrize(
    ("output", "values", "code"),
    [
        ({"$sum": 1, **_range(-1, 1)}, [1, on(1)], 5429413),
        ({"$sum": 1, **_range(-1, 1)}, [1, "x"], 5429414),
        ({"$sum": 1, **_range(-1, 1)}, [None, 1], 5429414),
        ({"$sum": 1, **_range(-1, 1, unit="day")}, [1, on(1)], 5429513),
        ({"$derivative": {"input": "$_id", "unit": "day"}, **_documents(-1, 0)}, [1, 2], 5624900),
        ({"$derivative": {"input": "$_id"}, **_documents(-1, 0)}, [on(1), on(2)], 5624901),
        ({"$derivative": {"input": "$_id"}, **_documents(-1, 0)}, ["x", "y"], 5624902),
        ({"$derivative": {"input": "$none"}, **_documents(-1, 0)}, [1, 2], 5624903),
        ({"$derivative": {"input": "text"}, **_documents(-1, 0)}, [1, 2], 14),
        ({"$integral": {"input": "$none"}}, [1, 2], 5423900),
        ({"$integral": {"input": "$_id", "unit": "day"}}, [1, 2], 5423901),
        ({"$integral": {"input": "$_id"}}, [on(1)], 5423902),
        ({"$linearFill": "text"}, [1, 2], 14),
        ({"$linearFill": "$_id"}, ["x"], 14),
        ({"$linearFill": "$_id"}, [1, on(1)], 14),
        ({"$linearFill": "$_id"}, [1, 1.0], 6050106),
    ],
    ids=str,
)
def test_values_that_it_does_not_take(output: Document, values: list[Any], code: int) -> None:
    documents = [{"_id": n, "k": value} for n, value in enumerate(values)]
    with pytest.raises(CommandFailure) as caught:
        _outputs(output, documents, "k")
    assert (caught.value.code, caught.value.unsupported) == (code, None)


BY: Document = {"sortBy": {"x": 1}}
TWO: Document = {"sortBy": {"x": 1, "y": 1}}


@pytest.mark.parametrize(
    ("output", "options", "code"),
    [
        ({"$sum": 1, **_range(-1, 1)}, {}, 5339902),
        ({"$sum": 1, **_range(-1, 1)}, TWO, 5339902),
        ({"$sum": 1, **_range(-1, 1)}, {"sortBy": {"x": -1}}, 8947401),
        ({"$sum": 1, **_range(1, -1)}, BY, 5339900),
        ({"$sum": 1, **_range("x", 1)}, BY, 9),
        ({"$sum": 1, **_range("$x", 1)}, BY, 9),
        ({"$sum": 1, **_range(None, 1)}, BY, 9),
        ({"$sum": 1, **_range(0, 0.5, unit="day")}, BY, 9),
        ({"$sum": 1, **_range(0, 1, unit="eon")}, BY, 9),
        ({"$sum": 1, "window": {"range": [0, 1], "documents": [0, 1]}}, BY, 9),
        ({"$sum": 1, "window": {"unit": "day"}}, BY, 9),
        ({"$sum": 1, "window": {"documents": [0, 1], "unit": "day"}}, BY, 9),
        ({"$derivative": {"input": "$x"}}, BY, 9),
        ({"$derivative": {"input": "$x"}, **_documents(0, 1)}, TWO, 9),
        ({"$derivative": {"unit": "day"}, **_documents(0, 1)}, BY, 9),
        ({"$derivative": {"input": "$x", "y": 1}, **_documents(0, 1)}, BY, 9),
        ({"$derivative": "$x", **_documents(0, 1)}, BY, 9),
        ({"$derivative": {"input": "$x", "unit": "month"}, **_documents(0, 1)}, BY, 5490710),
        ({"$integral": {"input": "$x"}}, {}, 9),
        ({"$integral": {"input": "$x", "unit": "year"}}, BY, 5490710),
        ({"$expMovingAvg": {"input": "$x", "N": 2}}, {}, 9),
        ({"$expMovingAvg": {"input": "$x", "N": 0}}, BY, 9),
        ({"$expMovingAvg": {"input": "$x", "N": 1.5}}, BY, 9),
        ({"$expMovingAvg": {"input": "$x", "alpha": 1}}, BY, 9),
        ({"$expMovingAvg": {"input": "$x", "alpha": "x"}}, BY, 9),
        ({"$expMovingAvg": {"input": "$x", "n": 2}}, BY, 9),
        ({"$expMovingAvg": {"input": "$x", "N": 2}, **_documents(0, 1)}, BY, 9),
        ({"$linearFill": "$x"}, {}, 605001),
        ({"$linearFill": "$x"}, TWO, 605001),
        ({"$linearFill": "$x", **_documents(0, 1)}, BY, 9),
        ({"$locf": "$x", **_documents(0, 1)}, BY, 9),
    ],
    ids=str,
)
def test_refused(output: Document, options: Document, code: int) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([{"$setWindowFields": {**options, "output": {"o": output}}}])
    assert (caught.value.code, caught.value.unsupported) == (code, None)
