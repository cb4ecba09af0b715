"""The exact matcher: one case for each numbered rule of MongoDB's filters, and what must hold for any filter."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.match import compile_filter, equality_id
from shadow_adapters.failures import CommandFailure
from tests.unit.bson_values import VALUES

NAN = math.nan
HEX = "5" * 24

CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    # number, filter, documents' values of `a` that match, those that do not; ... is a missing field
    ("1", {"a": None}, [None, ...], [0]),
    ("2", {"a": {"$ne": None}}, [0], [None, ...]),
    ("3", {"a": {"$exists": True}}, [None, 0], [...]),
    ("3-false", {"a": {"$exists": False}}, [...], [None, 0]),
    ("4", {"a": {"$type": "null"}}, [None, [None]], [..., 0]),
    ("5", {"a": {"$gte": None}}, [None, ...], [0]),
    ("5-gt", {"a": {"$gt": None}}, [], [None, ..., 0]),
    ("6", {"a": 1}, [1, [1, 2]], [[[1]]]),
    ("7", {"a": [1, 2]}, [[1, 2], [[1, 2], 3]], [[2, 1]]),
    ("8", {"a": {"x": 1, "y": 2}}, [{"x": 1, "y": 2}], [{"y": 2, "x": 1}]),
    ("9", {"a": {"x": 1}}, [{"x": 1}], [{"x": 1, "y": 2}]),
    ("10", {"a": 1}, [1, Int64(1), 1.0, Decimal128("1.00")], [True, "1"]),
    ("11", {"a": Decimal128("0.1")}, [Decimal128("0.10")], [0.1]),
    ("12", {"a": Int64(2**53 + 1)}, [Int64(2**53 + 1)], [2.0**53]),
    ("13", {"a": True}, [True], [1]),
    ("14", {"a": NAN}, [NAN, Decimal128("NaN")], [0]),
    ("15-lt", {"a": {"$lt": 0}}, [-1, -math.inf], [NAN, 0]),
    ("15-gte", {"a": {"$gte": NAN}}, [NAN], [0, math.inf]),
    ("15-gt", {"a": {"$gt": NAN}}, [], [NAN, 0]),
    ("16", {"a": 0}, [-0.0, Decimal128("-0")], [5e-324]),
    ("17", {"a": {"$gt": 3}}, [5, [7]], ["5", None, DatetimeMS(5), ...]),
    ("18", {"a": {"$gt": MinKey()}}, [1, "x", None, ...], [MinKey()]),
    ("18-max", {"a": {"$lte": MaxKey()}}, [1, "x", None, ..., MaxKey()], []),
    ("18-max-gt", {"a": {"$gt": MaxKey()}}, [], [1, MaxKey(), ...]),
    ("19", {"a": {"$gt": 4, "$lt": 6}}, [[1, 10], 5], [4]),
    ("20", {"a": {"$elemMatch": {"$gt": 4, "$lt": 6}}}, [[1, 5]], [[1, 10], 5]),
    ("21", {"a": {"$ne": 1}}, [..., 2], [[1, 2], 1]),
    ("22", {"a": {"$nin": [None]}}, [1], [..., None]),
    ("23", {"a": {"$in": [re.compile("^a"), 5]}}, ["ab", 5, ["x", "a"]], ["b", 6]),
    ("24", {"a": {"$not": re.compile("^a")}}, [5, ..., "b"], ["a"]),
    ("25", {"a": {"$not": {"$gt": 3}}}, ["x", ..., 3], [4, [1, 4]]),
    ("26", {"a": {"$size": 1}}, [["x"]], ["x", [], ...]),
    ("27", {"a": {"$all": [1]}}, [1, [2, 1]], [2]),
    (
        "27-elem",
        {"a": {"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"y": 2}}]}},
        [[{"x": 1}, {"y": 2}]],
        [[{"x": 1}]],
    ),
    ("28", {"a": {"$all": []}}, [], [[], 1, ...]),
    ("29", {"a": {"$in": []}}, [], [[], 1, ...]),
    ("30", {"a.b": 1}, [{"b": 1}, [{"b": 1}], {"b": [1]}, [{"b": [1]}]], [1, [[{"b": 1}]], {"b": [[1]]}]),
    ("31", {"a.1": 5}, [[0, 5], {"1": 5}, [{"1": 5}]], [[5], [5, 0], [[0, 5]]]),
    ("31-leaf", {"a.0": [1]}, [[[1]]], [[1]]),
    ("31-closed", {"a.0": 1}, [[1]], [[[1]]]),
    ("32", {"a.b": None}, [[{"b": 1}, {}], ..., 5, {}], [[], [1, 2], {"b": 1}]),
    ("33", {"a.b": 1}, [], [[[{"b": 1}]]]),
    ("36", {"a": {"$type": "array"}}, [[], [1], [[1]]], ["x", ...]),
    ("36-elements", {"a": {"$type": "string"}}, ["x", [1, "x"]], [[], [["x"]], 1]),
    ("36-number", {"a": {"$type": "number"}}, [1, Int64(1), 1.5, Decimal128("1")], [True, "1", None]),
    ("36-code", {"a": {"$type": [16, -1.0]}}, [1, MinKey()], [Int64(1), 1.0, MaxKey()]),
    ("36-scope", {"a": {"$type": "javascript"}}, [Code("a")], [Code("a", {})]),
    (
        "37",
        {"a": {"$mod": [5, 0]}},
        [5.9, 0, -5, Decimal128("10.7"), [7, 10]],
        [6, "5", NAN, math.inf, Decimal128("sNaN"), True, ..., None],
    ),
    ("37-sign", {"a": {"$mod": [-5, -2]}}, [-7, -2.9], [7, 3]),
    ("37-cut", {"a": {"$mod": [5.9, 1.9]}}, [6], [5]),
    (
        "41-all-set",
        {"a": {"$bitsAllSet": [1, 5]}},
        [34, 35.0, Int64(-1), Decimal128("34"), b"\x22", [1, 34]],
        [2, 34.5, "34", None, Decimal128("sNaN"), True, NAN, math.inf, b"\x02", ..., 2.0**63],
    ),
    ("41-any-set", {"a": {"$bitsAnySet": 34}}, [2, 32, -1, b"\x20\0"], [0, 1, b"", b"\0\x22"]),
    ("41-all-clear", {"a": {"$bitsAllClear": b"\x22"}}, [0, 1, b"", b"\0\xff"], [2, -1, b"\x20"]),
    ("41-any-clear", {"a": {"$bitsAnyClear": [1, 5]}}, [0, 2, 32, b"\x20"], [34, -1, "0"]),
    ("41-far", {"a": {"$bitsAllSet": [200]}}, [-1], [1, b"\xff", 1 << 62]),
    ("34", {"a.b": {"$exists": False}}, [[], [1], [{}]], [[{"b": 1}, {}]]),
    ("35", {"a.b": 1, "a.c": 1}, [[{"b": 1}, {"c": 1}]], [[{"b": 1}]]),
    ("35-elem", {"a": {"$elemMatch": {"b": 1, "c": 1}}}, [[{"b": 1, "c": 1}]], [[{"b": 1}, {"c": 1}]]),
    ("38", {"a": {"$regex": "^5"}}, ["5"], [5]),
    ("38-stored", {"a": Regex("^x", "i")}, [Regex("^x", "i"), "Xy"], [Regex("^x", ""), Code("x")]),
    ("39", {"a": {"$regex": "b$"}}, ["ab\n", "ab"], ["abc", "ab\n\n"]),
    ("40-x", {"a": {"$regex": "a b # c", "$options": "x"}}, ["ab"], ["a b"]),
    ("40-i", {"a": {"$regex": "é", "$options": "i"}}, ["É"], ["e"]),
    ("40-m", {"a": {"$regex": "^b", "$options": "m"}}, ["a\nb"], ["ab"]),
    ("40-s", {"a": {"$regex": "a.b", "$options": "s"}}, ["a\nb"], ["ab"]),
    ("40-u", {"a": {"$regex": "a", "$options": "u"}}, ["a"], ["b"]),
    ("42", {"a": datetime(2020, 1, 1, 0, 0, 0, 123999, UTC)}, [datetime(2020, 1, 1, 0, 0, 0, 123456, UTC)], [None]),
    ("43", {"a": HEX}, [HEX], [ObjectId(HEX)]),
    ("44", {"a": Binary(b"x", 5)}, [Binary(b"x", 5)], [Binary(b"x", 0), b"x"]),
    ("48", {"a": "a\0b"}, ["a\0b"], ["a"]),
    ("or", {"$or": [{"a": 1}, {"a": 2}]}, [1, 2], [3, ...]),
    ("nor", {"$nor": [{"a": 1}, {"a": 2}]}, [3, ...], [1, 2]),
    ("and", {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 3}}], "$comment": "c"}, [2], [1, 3]),
    ("not-in-elem", {"a": {"$elemMatch": {"$not": {"$gt": 3}}}}, [[1, 5]], [[5], 1]),
    ("elem-or", {"a": {"$elemMatch": {"$or": [{"x": 1}, {"y": 1}]}}}, [[{"y": 1}]], [[{"x": 2}], {"x": 1}]),
    ("elem-array", {"a": {"$elemMatch": {"0": 7}}}, [[[7]]], [[7]]),
    ("reference", {"a.$id": 1}, [DBRef("c", 1), {"$ref": "c", "$id": 1}], [DBRef("c", 2)]),
    ("reference-with-more", {"a": {"$ref": "c", "$id": 1, "x": 2}}, [DBRef("c", 1, x=2)], [DBRef("c", 1)]),
    ("reference-in-elem", {"a": {"$elemMatch": {"$id": 1}}}, [[DBRef("c", 1)]], [[DBRef("c", 2)]]),
    ("sample-all", {"$sampleRate": 1}, [2, ...], []),
    ("sample-none", {"$or": [{"$sampleRate": 0.0}, {"a": 1}]}, [1], [2, ...]),
    ("empty-object", {"a": {}}, [{}], [{"x": 1}, ...]),
]


def _document(value: Any) -> dict[str, Any]:
    """The document as a store holds it: through BSON and back."""
    return decode(encode({"_id": 1} if value is ... else {"_id": 1, "a": value}))


@pytest.mark.parametrize(("filter", "hits", "misses"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_case(filter: Any, hits: list[Any], misses: list[Any]) -> None:
    matches = compile_filter(filter).matches
    assert [value for value in hits if not matches(_document(value))] == []
    assert [value for value in misses if matches(_document(value))] == []


REFUSED = [
    ("50-and", {"$and": []}, 2, None),
    ("50-or", {"$or": {}}, 2, None),
    ("50-nor", {"$nor": [1]}, 2, None),
    ("50-operator", {"a": {"$foo": 1}}, 2, "$foo"),
    ("50-top", {"$foo": 1}, 2, "$foo"),
    ("50-gt", {"a": {"$gt": re.compile("x")}}, 2, None),
    ("50-ne", {"a": {"$ne": re.compile("x")}}, 2, None),
    ("50-in", {"a": {"$in": 5}}, 2, None),
    ("in-nested", {"a": {"$in": [{"$gt": 1}]}}, 2, None),
    ("mixed", {"a": {"$gt": 1, "b": 1}}, 2, None),
    ("size-negative", {"a": {"$size": -1}}, 2, None),
    ("size-fraction", {"a": {"$size": 1.5}}, 2, None),
    ("size-type", {"a": {"$size": "1"}}, 2, None),
    ("all", {"a": {"$all": 1}}, 2, None),
    ("all-operators", {"a": {"$all": [{"$gt": 1}]}}, 2, None),
    ("all-mixed", {"a": {"$all": [{"$elemMatch": {}}, 1]}}, 2, None),
    ("elem", {"a": {"$elemMatch": 1}}, 2, None),
    ("not", {"a": {"$not": 5}}, 2, None),
    ("not-empty", {"a": {"$not": {}}}, 2, None),
    ("options", {"a": {"$options": "i"}}, 2, None),
    ("options-twice", {"a": {"$regex": Regex("a", "i"), "$options": "m"}}, 51075, None),
    ("options-letter", {"a": {"$regex": "a", "$options": "q"}}, 51108, None),
    ("regex-type", {"a": {"$regex": 5}}, 2, None),
    ("regex-nul", {"a": {"$regex": "a\0"}}, 2, None),
    ("type-name", {"a": {"$type": "nonsense"}}, 2, None),
    ("type-number", {"a": {"$type": 0}}, 2, None),
    ("type-fraction", {"a": {"$type": 1.5}}, 2, None),
    ("type-none", {"a": {"$type": []}}, 9, None),
    ("type-type", {"a": {"$type": True}}, 14, None),
    ("mod-array", {"a": {"$mod": 5}}, 2, None),
    ("mod-short", {"a": {"$mod": [5]}}, 2, None),
    ("mod-long", {"a": {"$mod": [5, 0, 0]}}, 2, None),
    ("mod-zero", {"a": {"$mod": [0, 0]}}, 2, None),
    ("mod-cut-to-zero", {"a": {"$mod": [0.5, 0]}}, 2, None),
    ("mod-text", {"a": {"$mod": ["5", 0]}}, 2, None),
    ("mod-nan", {"a": {"$mod": [NAN, 0]}}, 2, None),
    ("41-type", {"a": {"$bitsAllSet": "1"}}, 2, None),
    ("41-negative", {"a": {"$bitsAllSet": -1}}, 9, None),
    ("41-fraction", {"a": {"$bitsAnySet": 1.5}}, 9, None),
    ("41-position", {"a": {"$bitsAnyClear": [-1]}}, 2, None),
    ("41-far", {"a": {"$bitsAnyClear": [1 << 31]}}, 2, None),
    ("41-text", {"a": {"$bitsAllClear": ["1"]}}, 2, None),
    ("sample-type", {"$sampleRate": "1"}, 14, None),
    ("sample-range", {"$sampleRate": 1.5}, 2, None),
    ("sample-nan", {"$sampleRate": NAN}, 2, None),
    ("sample-field", {"a": {"$sampleRate": 1}}, 2, "$sampleRate"),
    ("where", {"$where": "1"}, 2, "$where"),
]


@pytest.mark.parametrize(("filter", "code", "unsupported"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_refused(filter: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_filter(filter)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_a_rate_is_the_share_that_is_taken() -> None:
    matches = compile_filter({"$sampleRate": 0.25}).matches
    assert 4_000 < sum(matches({}) for _ in range(20_000)) < 6_000


def test_unknown_operators_are_named_as_mongodb_names_them() -> None:
    with pytest.raises(CommandFailure, match=r"^unknown operator: \$foo$"):
        compile_filter({"a": {"$foo": 1}})
    with pytest.raises(CommandFailure, match=r"^unknown top level operator: \$foo$"):
        compile_filter({"$and": [{"$foo": 1}]})


OPERANDS = VALUES.filter(lambda value: not isinstance(value, Regex))
CONDITIONS = st.one_of(
    OPERANDS,
    st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), OPERANDS
    ),
    st.builds(
        lambda name, values: {name: values}, st.sampled_from(["$in", "$nin", "$all"]), st.lists(VALUES, max_size=3)
    ),
    st.builds(lambda exists: {"$exists": exists}, st.booleans()),
    st.builds(lambda size: {"$size": size}, st.integers(0, 3)),
    st.builds(lambda name: {"$type": name}, st.sampled_from(["int", "number", "array", "object", "null", "string", 5])),
    st.builds(lambda divisor, rest: {"$mod": [divisor, rest]}, st.integers(1, 5), st.integers(-2, 2)),
)
PATHS = st.sampled_from(["a", "a.b", "a.0", "a.0.b", "b", "a.b.c"])
FILTERS = st.dictionaries(PATHS, CONDITIONS, max_size=2)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2)


@given(FILTERS, DOCUMENTS)
def test_a_filter_or_its_negation_matches(filter: Any, document: Any) -> None:
    stored = decode(encode(document))
    assert compile_filter(filter).matches(stored) is not compile_filter({"$nor": [filter]}).matches(stored)


@given(PATHS, st.sampled_from([("$ne", "$eq"), ("$nin", "$in")]), st.lists(OPERANDS, min_size=1, max_size=3), DOCUMENTS)
def test_negative_operators_negate(path: str, names: tuple[str, str], values: list[Any], document: Any) -> None:
    operand = values if names[0] == "$nin" else values[0]
    stored = decode(encode(document))
    negative, positive = (compile_filter({path: {name: operand}}).matches(stored) for name in names)
    assert negative is not positive


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"_id": 5}, (True, 5)),
        ({"_id": None, "a": 1}, (True, None)),
        ({"_id": {"a": 1}}, (True, {"a": 1})),
        ({"_id": {"$eq": "x"}}, (True, "x")),
        ({"_id": {"$in": ["x"]}}, (True, "x")),
        ({"$and": [{"a": 1}, {"_id": 7}]}, (True, 7)),
        ({"_id": {"$gt": 1}, "$and": [{"_id": 7}]}, (True, 7)),
        ({"_id": {"$in": ["x", "y"]}}, (False, None)),
        ({"_id": {"$gt": 5}}, (False, None)),
        ({"_id": Regex("a")}, (False, None)),
        ({"_id": re.compile("a")}, (False, None)),
        ({"_id": {"$in": [re.compile("a")]}}, (False, None)),
        ({"_id": [1]}, (False, None)),
        ({"$or": [{"_id": 1}]}, (False, None)),
        ({"a": 1}, (False, None)),
        ({}, (False, None)),
    ],
)
def test_equality_id(filter: Any, found: tuple[bool, Any]) -> None:
    assert equality_id(filter) == found
