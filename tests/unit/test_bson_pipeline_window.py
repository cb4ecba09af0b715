"""``$setWindowFields``: partitions, windows of documents, ranks, shifts."""

from __future__ import annotations

from typing import Any

import pytest

from shadow_adapters.bson.pipeline import compile_pipeline, memory
from shadow_adapters.failures import CommandFailure
from tests.unit.pipelines import run

Document = dict[str, Any]

DOCUMENTS: list[Document] = [{"_id": n, "p": n % 2, "v": value} for n, value in enumerate([5, 3, 3, None, 7, "x"])]
BY_V: Document = {"sortBy": {"v": 1}}
IN_ORDER = [3, 1, 2, 0, 4, 5]


def _outputs(output: Document, documents: list[Document] = DOCUMENTS, **options: Any) -> list[tuple[int, Any]]:
    found = run([{"$setWindowFields": {**options, "output": {"o": output}}}], documents)
    return [(document["_id"], document["o"]) for document in found]


def _window(low: Any, high: Any) -> Document:
    return {"window": {"documents": [low, high]}}


WINDOWS: list[tuple[Document, list[Any]]] = [
    ({"$sum": "$v"}, [18] * 6),
    ({"$sum": "$v", **_window("unbounded", "unbounded")}, [18] * 6),
    ({"$sum": "$v", "window": {}}, [18] * 6),
    ({"$sum": "$v", **_window("unbounded", "current")}, [0, 3, 6, 11, 18, 18]),
    ({"$sum": "$v", **_window("unbounded", -1)}, [0, 0, 3, 6, 11, 18]),
    ({"$sum": "$v", **_window("current", "unbounded")}, [18, 18, 15, 12, 7, 0]),
    ({"$avg": "$v", **_window(-1, 1)}, [3.0, 3.0, 11 / 3, 5.0, 6.0, 7.0]),
    ({"$push": "$v", **_window(2, 3)}, [[3, 5], [5, 7], [7, "x"], ["x"], [], []]),
    ({"$push": "$v", **_window("unbounded", 0)}, [[None, 3, 3, 5, 7, "x"][:n] for n in range(1, 7)]),
    ({"$sum": "$v", **_window(2, 3)}, [8, 12, 7, 0, 0, 0]),
    ({"$max": "$v", **_window(2, 3)}, [5, 7, "x", "x", None, None]),
    ({"$first": "$v", **_window(2, 3)}, [3, 5, 7, "x", None, None]),
    ({"$count": {}, **_window(-9, -5)}, [0, 0, 0, 0, 0, 1]),
    ({"$rank": {}}, [1, 2, 2, 4, 5, 6]),
    ({"$denseRank": {}}, [1, 2, 2, 3, 4, 5]),
    ({"$documentNumber": {}}, [1, 2, 3, 4, 5, 6]),
    ({"$shift": {"output": "$v", "by": -1, "default": "none"}}, ["none", None, 3, 3, 5, 7]),
    ({"$shift": {"output": "$v", "by": 2}}, [3, 5, 7, "x", None, None]),
    ({"$shift": {"output": "$none", "by": 0}}, [None] * 6),
]


@pytest.mark.parametrize(("output", "values"), WINDOWS, ids=str)
def test_in_one_partition(output: Document, values: list[Any]) -> None:
    assert _outputs(output, **BY_V) == list(zip(IN_ORDER, values, strict=True))


def test_partitions_come_one_after_another() -> None:
    found = _outputs({"$sum": "$v", **_window("unbounded", "current")}, partitionBy="$p", sortBy={"v": -1})
    assert found == [(4, 7), (0, 12), (2, 15), (5, 0), (1, 3), (3, 3)]
    missing: list[Document] = [{"_id": 1}, {"_id": 2, "p": None}, {"_id": 3, "p": 1.0}, {"_id": 4, "p": 1}]
    assert _outputs({"$count": {}}, missing, partitionBy="$p") == [(1, 2), (2, 2), (3, 2), (4, 2)]


def test_without_an_order_documents_stay_as_they_came() -> None:
    assert _outputs({"$sum": 1}) == [(n, 6) for n in range(6)]


def test_outputs_are_set_as_fields_are() -> None:
    output = {"v": {"$sum": 1}, "deep.er": {"$documentNumber": {}}}
    found = run([{"$setWindowFields": {"sortBy": {"_id": 1}, "output": output}}], [{"_id": 1, "v": 9, "w": 1}])
    assert list(found[0].items()) == [("_id", 1), ("v", 1), ("w", 1), ("deep", {"er": 1})]


def test_it_holds_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LIMIT", 100_000)
    documents = [{"_id": n, "a": "x" * 1000} for n in range(200)]
    stages = [{"$setWindowFields": {"output": {"n": {"$sum": 1}}}}, {"$count": "n"}]
    assert run(stages, documents) == [{"n": 200}]
    with pytest.raises(CommandFailure) as caught:
        run(stages, documents, disk=False)
    assert caught.value.code == 292


@pytest.mark.parametrize(
    ("spec", "code", "unsupported"),
    [
        (5, 9, None),
        ({}, 40414, None),
        ({"output": {}, "x": 1}, 40415, None),
        ({"output": 5}, 14, None),
        ({"output": {}, "sortBy": 5}, 14, None),
        ({"output": {"o": 5}}, 9, None),
        ({"output": {"o": {}}}, 9, None),
        ({"output": {"o": {"$sum": 1, "$avg": 1}}}, 9, None),
        ({"output": {"o": {"$sum": 1, "x": 1}}}, 9, None),
        ({"output": {"o": {"$foo": 1}}}, 9, None),
        ({"output": {"o": {"$sum": 1, "window": 5}}}, 9, None),
        ({"output": {"o": {"$sum": 1, "window": {"x": 5}}}}, 9, None),
        ({"output": {"o": {"$sum": 1, "window": {"documents": [1]}}}}, 9, None),
        ({"output": {"o": {"$sum": 1, **_window(0.5, 1)}}}, 9, None),
        ({"output": {"o": {"$sum": 1, **_window("x", 1)}}}, 9, None),
        ({"output": {"o": {"$sum": 1, **_window(2, 1)}}, **BY_V}, 5339900, None),
        ({"output": {"o": {"$sum": 1, **_window(0, 1)}}}, 5339901, None),
        ({"output": {"o": {"$rank": {}, **_window(0, 1)}}, **BY_V}, 5371601, None),
        ({"output": {"o": {"$rank": {}}}}, 5371602, None),
        ({"output": {"o": {"$rank": {}}}, "sortBy": {"a": 1, "b": 1}}, 5371602, None),
        ({"output": {"o": {"$documentNumber": {}}}}, 5371602, None),
        ({"output": {"o": {"$denseRank": 1}}, **BY_V}, 5371603, None),
        ({"output": {"o": {"$shift": {"output": "$v", "by": 1}}}}, 9, None),
        ({"output": {"o": {"$shift": {"by": 1}}}, **BY_V}, 9, None),
        ({"output": {"o": {"$shift": {"output": "$v", "by": 1.5}}}, **BY_V}, 9, None),
        ({"output": {"o": {"$shift": {"output": "$v", "by": 1, "default": "$v"}}}, **BY_V}, 9, None),
        ({"output": {"o": {"$shift": {"output": "$v", "by": 1, "x": 1}}}, **BY_V}, 9, None),
        ({"output": {"o": {"$minMaxScaler": {}}}, **BY_V}, 115, "window function $minMaxScaler"),
    ],
    ids=str,
)
def test_refused(spec: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_pipeline([{"$setWindowFields": spec}])
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_a_partition_is_no_array() -> None:
    with pytest.raises(CommandFailure) as caught:
        _outputs({"$sum": 1}, partitionBy=["$p"])
    assert caught.value.code == 14
