"""Sorting as MongoDB sorts: BSON's order, and what arrays on a sorted path do to it."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.bson.order import compare, sort_documents, sort_key
from shadow_adapters.failures import CommandFailure
from tests.unit.bson_values import VALUES, reference_key

ORDERED: list[tuple[str, list[Any]]] = [
    (
        "51",
        [
            MinKey(),
            None,
            1,
            "a",
            {"a": 1},
            b"x",
            ObjectId("0" * 24),
            True,
            DatetimeMS(0),
            Timestamp(0, 1),
            Regex("a"),
            Code("x"),
            MaxKey(),
        ],
    ),
    ("55", [float("nan"), float("-inf"), -1, 0, Decimal128("0.5"), 1, float("inf")]),
    ("56", ["B", "a", "b", "z", "é"]),
    ("57", [{"a": 2}, {"b": 1}, {"a": "x"}]),
    ("57-order", [{"x": 1, "y": 2}, {"y": 2, "x": 1}]),
    ("58", [b"zz", b"aaa"]),
]


@pytest.mark.parametrize("values", [pytest.param(case[1], id=case[0]) for case in ORDERED])
def test_values_in_order(values: list[Any]) -> None:
    documents: list[dict[str, Any]] = [{"a": value} for value in values]
    shuffled = random.Random(7).sample(documents, len(documents))
    assert sort_documents(shuffled, {"a": 1}) == documents
    assert sort_documents(shuffled, [("a", -1)]) == documents[::-1]
    assert all(compare(low, high) == -1 for low, high in itertools.pairwise(values))


ARRAYS: list[tuple[str, Any, list[Any], list[Any]]] = [
    # number, sort, values of `a` as stored, as sorted; ... is a missing field
    ("51-array", {"a": 1}, [[{"x": 1}], [b""], [[1]]], [[{"x": 1}], [[1]], [b""]]),
    ("52", {"a": 1}, [None, [None], ..., [], 0], [[], None, [None], ..., 0]),
    ("52-down", {"a": -1}, [[], None, ..., 0], [0, None, ..., []]),
    ("53", {"a": 1}, [[5, 10], [7], [1, 20]], [[1, 20], [5, 10], [7]]),
    ("54", {"a": -1}, [[5, 10], [7], [1, 20]], [[1, 20], [5, 10], [7]]),
    ("59", {"a.b": 1}, [{"b": 3}, [{"b": 5}, {"b": 1}]], [[{"b": 5}, {"b": 1}], {"b": 3}]),
    ("59-down", {"a.b": -1}, [{"b": 3}, [{"b": 5}, {"b": 1}]], [[{"b": 5}, {"b": 1}], {"b": 3}]),
    ("scalar-on-the-way", {"a.b": 1}, [{"b": 1}, 5, [7]], [5, [7], {"b": 1}]),
    ("index", {"a.0": 1}, [[3, 1], [2, 9]], [[2, 9], [3, 1]]),
    ("index-past-the-end", {"a.1": 1}, [[3, 1], [2]], [[2], [3, 1]]),
    (
        "rows-stay-together",
        {"a.b": 1, "a.c": 1},
        [[{"b": 1, "c": 9}, {"b": 2, "c": 1}], [{"b": 1, "c": 3}]],
        [[{"b": 1, "c": 3}], [{"b": 1, "c": 9}, {"b": 2, "c": 1}]],
    ),
    ("array-and-its-field", {"a": 1, "a.b": -1}, [[{"b": 2}], [{"b": 1}]], [[{"b": 1}], [{"b": 2}]]),
]


@pytest.mark.parametrize(("spec", "stored", "ordered"), [pytest.param(*case[1:], id=case[0]) for case in ARRAYS])
def test_arrays(spec: Any, stored: list[Any], ordered: list[Any]) -> None:
    documents: list[dict[str, Any]] = [{} if value is ... else {"a": value} for value in stored]
    assert [document.get("a", ...) for document in sort_documents(documents, spec)] == ordered


FLAT = VALUES.filter(lambda value: not isinstance(value, list))


@given(st.lists(st.tuples(FLAT, FLAT), max_size=6), st.sampled_from([1, -1]), st.sampled_from([1, -1]))
def test_sorting_is_sorting_by_the_reference_order(rows: list[tuple[Any, Any]], first: int, second: int) -> None:
    documents = [{"n": number, "a": a, "b": b} for number, (a, b) in enumerate(rows)]
    expected = sorted(documents, key=lambda document: reference_key(document["b"]), reverse=second < 0)
    expected = sorted(expected, key=lambda document: reference_key(document["a"]), reverse=first < 0)
    keys = [sort_key(document, {"a": first, "b": second}) for document in expected]
    assert keys == sorted(keys)
    by_key = sort_documents(documents, {"a": first, "b": second})
    assert [sort_key(document, {"a": first, "b": second}) for document in by_key] == keys


def test_equal_documents_stay_as_they_came() -> None:
    documents = [{"_id": number, "a": value} for number, value in enumerate([1, 1.0, Decimal128("1")])]
    assert sort_documents(documents, {"a": -1}) == documents


@pytest.mark.parametrize(
    ("spec", "code", "unsupported"),
    [
        ({"a": 2}, 15975, None),
        ({"a": "x"}, 15974, None),
        ({"a": True}, 15974, None),
        ({"a": {"$meta": "textScore"}}, 40218, "sort $meta"),
        ({"a": {"$meta": "randVal"}}, 2, "sort $meta"),
        ({"$natural": 1}, 2, "sort $natural"),
    ],
)
def test_refused(spec: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        sort_documents([], spec)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_parallel_arrays_are_refused() -> None:
    with pytest.raises(CommandFailure, match="parallel arrays"):
        sort_documents([{"a": [1], "b": [2]}], {"a": 1, "b": 1})


def test_the_order_of_texts_is_the_collation_s() -> None:
    documents = [{"a": "b"}, {"a": "B"}, {"a": "a"}]
    assert sort_documents(documents, {"a": 1}) == [documents[1], documents[2], documents[0]]
    collation = compile_collation({"locale": "en"})
    assert sort_documents(documents, {"a": 1}, collation) == [documents[2], documents[0], documents[1]]
