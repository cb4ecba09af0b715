"""What MongoDB answers where such layers go wrong, as data: numbered cases, each with its documents and its one answer.

A case is a command and what must come of it: ``_id``s found, documents, a record after an update, or an error's code.
The numbers are those that known differences refer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

Document = dict[str, Any]
NAN: Final = float("nan")
MISSING: Final = object()
"""In a list of values: the document that lacks the field."""


class Looks(Enum):
    """What of the outcome is looked at."""

    IDS = "the ids, in any order"
    ORDER = "the ids, in order"
    DOCUMENTS = "the documents, byte by byte"
    RECORD = "the record afterwards, byte by byte"
    REPLY = "the counts of the reply"
    CODE = "the error's code"


@dataclass(frozen=True)
class Case:
    """One command over some documents."""

    number: str
    documents: Sequence[Document]
    command: Document
    looks: Looks
    expected: Any
    unique: str | None = None
    """A field with a unique index."""
    secantus: bool = field(default=True)
    """Whether SecantusDB, which is not MongoDB, answers alike."""


def _of_values(values: Sequence[Any]) -> list[Document]:
    return [{"_id": n} if value is MISSING else {"_id": n, "a": value} for n, value in enumerate(values)]


def _finds(number: int | str, documents: Sequence[Document], filter: Document, ids: Sequence[Any], **more: Any) -> Case:
    return Case(str(number), documents, {"find": "", "filter": filter}, Looks.IDS, list(ids), **more)


def _hits(number: int, values: Sequence[Any], condition: Any, *indexes: int, **more: Any) -> Case:
    """The condition on ``a`` finds the values of these indexes."""
    return _finds(number, _of_values(values), {"a": condition}, indexes, **more)


def _fails(number: int, documents: Sequence[Document], command: Document, code: int, **more: Any) -> Case:
    return Case(str(number), documents, command, Looks.CODE, code, **more)


def _sorts(number: int, values: Sequence[Any], spec: Document, *indexes: int, **more: Any) -> Case:
    command = {"find": "", "filter": {}, "sort": {**spec, "_id": 1}}
    return Case(str(number), _of_values(values), command, Looks.ORDER, list(indexes), **more)


def _updates(number: int, before: Document, change: Any, after: Document | int, **statement: Any) -> Case:
    """An update of the one record, and the record afterwards or the error's code."""
    secantus = statement.pop("secantus", True)
    one = {"q": {"_id": 1}, "u": change, **statement}
    looks, expected = (Looks.CODE, after) if isinstance(after, int) else (Looks.RECORD, {"_id": 1, **after})
    return Case(
        str(number), [{"_id": 1, **before}], {"update": "", "updates": [one]}, looks, expected, secantus=secantus
    )


def _upserts(number: int, filter: Document, change: Document, after: Document, **more: Any) -> Case:
    command = {"update": "", "updates": [{"q": filter, "u": change, "upsert": True}]}
    return Case(str(number), [], command, Looks.RECORD, after, **more)


def _gives(
    number: int, documents: Sequence[Document], pipeline: list[Document], *results: Document, **more: Any
) -> Case:
    command = {"aggregate": "", "pipeline": pipeline, "cursor": {}}
    return Case(str(number), documents, command, Looks.DOCUMENTS, list(results), **more)


def _computes(number: int, document: Document, expression: Any, result: Any, **more: Any) -> Case:
    """The value of an expression; MISSING where it has none."""
    shown = {} if result is MISSING else {"v": result}
    return _gives(number, [{"_id": 1, **document}], [{"$project": {"_id": 0, "v": expression}}], shown, **more)


def _keeps(number: str, document: Document, *, secantus: bool = True) -> Case:
    """A record that is read back byte by byte."""
    command = {"find": "", "filter": {"_id": document["_id"]}}
    return Case(number, [document], command, Looks.DOCUMENTS, [document], secantus=secantus)


_BC = [{"b": 1}, {}]
_TYPES: list[Any] = [MinKey(), None, 1, "s", {"x": 1}, [MaxKey()], b"b", ObjectId("5" * 24), False, DatetimeMS(0)]
_TYPES += [Timestamp(1, 1), Regex("x"), Code("x"), MaxKey()]
_ORDERED = [value for value in _TYPES if not isinstance(value, list)]  # an array is sorted by an element

MATCHING = [
    _hits(1, [None, MISSING, 0], None, 0, 1),
    _hits(2, [None, MISSING, 0], {"$ne": None}, 2),
    _hits(3, [None, MISSING, 0], {"$exists": True}, 0, 2),
    _hits(4, [None, MISSING, 0], {"$type": "null"}, 0),
    _hits(5, [None, MISSING, 0], {"$gte": None}, 0, 1),
    _hits(6, [1, [1, 2], [[1]]], 1, 0, 1),
    _hits(7, [[1, 2], [[1, 2], 3], [2, 1]], [1, 2], 0, 1),
    _hits(8, [{"x": 1, "y": 2}, {"y": 2, "x": 1}], {"x": 1, "y": 2}, 0),
    _hits(9, [{"x": 1}, {"x": 1, "y": 2}], {"x": 1}, 0),
    _hits(10, [1, Int64(1), 1.0, Decimal128("1.00"), True, "1"], 1, 0, 1, 2, 3),
    _hits(11, [0.1, Decimal128("0.1")], Decimal128("0.1"), 1, secantus=False),
    _hits(12, [Int64(2**53 + 1), 2.0**53], 2.0**53, 1),
    _hits(12, [Int64(2**53 + 1), 2.0**53], Int64(2**53 + 1), 0),
    _hits(13, [True, 1], True, 0),
    _hits(14, [NAN, Decimal128("NaN"), 0], NAN, 0, 1),
    _hits(15, [NAN, -1], {"$lt": 0}, 1),
    _hits(15, [NAN, -1, 5], {"$gte": NAN}, 0),
    _hits(16, [-0.0, 0], 0, 0, 1),
    _keeps("16", {"_id": 1, "a": -0.0}),
    _hits(17, [5, [7], "5", None, DatetimeMS(9)], {"$gt": 3}, 0, 1),
    _hits(18, [5, "x", None, MISSING, MinKey()], {"$gt": MinKey()}, 0, 1, 2, 3),
    _hits(19, [[1, 10]], {"$gt": 4, "$lt": 6}, 0),
    _hits(20, [[1, 10], [5]], {"$elemMatch": {"$gt": 4, "$lt": 6}}, 1),
    _hits(21, [[1, 2], MISSING, 2], {"$ne": 1}, 1, 2),
    _hits(22, [None, MISSING, 1], {"$nin": [None]}, 2),
    _hits(23, ["abc", "bcd", 1], {"$in": [Regex("^a"), 1]}, 0, 2),
    _hits(24, ["abc", 5, MISSING], {"$not": Regex("^a")}, 1, 2),
    _hits(25, ["x", MISSING, 5], {"$not": {"$gt": 3}}, 0, 1),
    _hits(26, [1, [1], [[1]]], {"$size": 1}, 1, 2),
    _hits(27, [1, [1, 2]], {"$all": [1]}, 0, 1),
    _hits(28, [1, []], {"$all": []}),
    _hits(29, [1, [], MISSING], {"$in": []}),
]

PATHS = [
    _finds(30, [{"_id": 0, "a": [{"b": 1}]}, {"_id": 1, "a": {"b": 1}}], {"a.b": 1}, [0, 1]),
    _finds(
        31, [{"_id": 0, "a": [0, 5]}, {"_id": 1, "a": {"1": 5}}, {"_id": 2, "a": [{"1": 5}]}], {"a.1": 5}, [0, 1, 2]
    ),
    _finds(32, _of_values([_BC, [], [1, 2], MISSING]), {"a.b": None}, [0, 3]),
    _finds(33, _of_values([[[{"b": 1}]]]), {"a.b": 1}, []),
    _finds(34, _of_values([_BC, [{}]]), {"a.b": {"$exists": False}}, [1]),
    _finds(35, _of_values([[{"b": 1}, {"c": 1}]]), {"a.b": 1, "a.c": 1}, [0]),
    _hits(36, [["x"], [1], "x"], {"$type": "string"}, 0, 2),
    _hits(36, [["x"], [1], "x"], {"$type": "array"}, 0, 1),
]

OPERATORS = [
    _hits(37, [5.9, 5, 6, "5"], {"$mod": [5, 0]}, 0, 1),
    _hits(38, [5, Regex("^x", "i"), "Xy"], Regex("^x", "i"), 1, 2),
    _hits(39, ["ab\n", "abc"], {"$regex": "b$"}, 0),
    _hits(39, ["a\nb", "a b"], {"$regex": "a.b"}, 1),
    _hits(39, ["é1", "1"], {"$regex": r"\p{L}"}, 0, secantus=False),
    _hits(39, ["ab cd"], {"$regex": r"\bcd"}, 0),
    _hits(40, ["ab", "a b"], {"$regex": "a b", "$options": "x"}, 0),
    _hits(40, ["x\nAB"], {"$regex": "^a.", "$options": "im"}, 0),
    _hits(41, [-1, 33, 1], {"$bitsAllSet": [0, 5]}, 0, 1),
    Case(
        "42",
        [{"_id": 0, "a": datetime(2024, 1, 1, 0, 0, 0, 123456, UTC)}],
        {"find": "", "filter": {"a": datetime(2024, 1, 1, 0, 0, 0, 123999, UTC)}},
        Looks.IDS,
        [0],
    ),
    _hits(43, [ObjectId("5" * 24), "5" * 24], "5" * 24, 1),
    _hits(44, [Binary(b"x", 0), Binary(b"x", 5)], Binary(b"x", 5), 1),
    _finds(45, _of_values([None, MISSING]), {"$expr": {"$eq": ["$a", None]}}, [0]),
    _finds(46, _of_values([5, "x", 1]), {"$expr": {"$gt": ["$a", 3]}}, [0, 1]),
    _finds(47, _of_values([1, [1]]), {"$expr": {"$eq": ["$a", 1]}}, [0]),
    _hits(48, ["a\0b", "a"], "a\0b", 0),
    Case(
        "49",
        _of_values(["ABC", "abc", "ábc"]),
        {"find": "", "filter": {"a": "abc"}, "collation": {"locale": "en", "strength": 2}},
        Looks.IDS,
        [0, 1],
    ),
    _fails(50, [], {"find": "", "filter": {"$and": []}}, 2),
    _fails(50, [], {"find": "", "filter": {"a": {"$foo": 1}}}, 2),
    _fails(50, [], {"find": "", "filter": {"a": {"$gt": Regex("x")}}}, 2),
    _fails(50, [], {"find": "", "filter": {"a": {"$in": 5}}}, 2),
]

SORTING = [
    _sorts(51, _ORDERED[::-1], {"a": 1}, *range(len(_ORDERED) - 1, -1, -1)),
    _sorts(52, [None, [], MISSING, [None]], {"a": 1}, 1, 0, 2, 3),
    _sorts(53, [[5, 10], [7], [1, 20]], {"a": 1}, 2, 0, 1),
    _sorts(54, [[5, 10], [7], [1, 20]], {"a": -1}, 2, 0, 1),
    _sorts(55, [float("-inf"), NAN, 0], {"a": 1}, 1, 0, 2),
    _sorts(56, ["é", "z", "b", "a", "B"], {"a": 1}, 4, 3, 2, 1, 0),
    _sorts(57, [{"a": "x"}, {"b": 1}, {"a": 2}], {"a": 1}, 2, 1, 0),
    _sorts(58, [b"aaa", b"zz"], {"a": 1}, 1, 0),
    _sorts(59, [{"b": 3}, [{"b": 5}, {"b": 1}]], {"a.b": 1}, 1, 0),
]

UPDATING = [
    _updates(60, {"a": 2**31 - 1}, {"$inc": {"a": 1}}, {"a": Int64(2**31)}),
    _updates(61, {"a": None}, {"$inc": {"a": 1}}, 14),
    _updates(61, {}, {"$inc": {"a": 1}}, {"a": 1}),
    _updates(62, {}, {"$mul": {"a": 5}}, {"a": 0}),
    _updates(63, {}, {"$set": {"a.0": 1}}, {"a": {"0": 1}}),
    _updates(64, {"a": [1]}, {"$set": {"a.3": 9}}, {"a": [1, None, None, 9]}),
    _updates(65, {"a": 5}, {"$set": {"a.b": 1}}, 28),
    _updates(66, {}, {"$set": {"_id": 2}}, 66),
    _updates(67, {}, {"$set": {"a": 1, "a.b": 2}}, 40),
    _updates(68, {"a": [1, 2, 3]}, {"$unset": {"a.1": 1}}, {"a": [1, None, 3]}),
    _updates(69, {}, {"$set": {"z": 1, "b": 2}}, {"b": 2, "z": 1}, secantus=False),
    _updates(70, {"a": 5}, {"$max": {"a": "x"}}, {"a": "x"}),
    _updates(70, {"a": 5}, {"$min": {"a": None}}, {"a": None}),
    _updates(71, {"a": 5}, {"$push": {"a": 1}}, 2),
    _updates(72, {"a": [3, 1]}, {"$push": {"a": {"$each": [2], "$sort": 1, "$slice": -2}}}, {"a": [2, 3]}),
    _updates(73, {"a": [{"x": 1, "y": 2}]}, {"$addToSet": {"a": {"x": 1.0, "y": Int64(2)}}}, {"a": [{"x": 1, "y": 2}]}),
    _updates(
        73,
        {"a": [{"x": 1, "y": 2}]},
        {"$addToSet": {"a": {"y": 2, "x": 1}}},
        {"a": [{"x": 1, "y": 2}, {"y": 2, "x": 1}]},
    ),
    _updates(74, {"a": [{"x": 1, "y": 2}, {"x": 2}]}, {"$pull": {"a": {"x": 1}}}, {"a": [{"x": 2}]}),
    _updates(74, {"a": [{"x": 1, "y": 2}, {"x": 1}]}, {"$pullAll": {"a": [{"x": 1}]}}, {"a": [{"x": 1, "y": 2}]}),
    _updates(75, {"a": 1, "b": 2}, {"$rename": {"a": "c"}}, {"b": 2, "c": 1}),
    _updates(75, {"b": 2}, {"$rename": {"a": "c"}}, {"b": 2}),
    _updates(76, {"a": [1, 2]}, {"$set": {"a.$": 0}}, 2),
    _updates(76, {"a": [1, 2]}, {"$set": {"a.$": 0}}, {"a": [1, 0]}, q={"_id": 1, "a": 2}),
    _updates(76, {"a": [1, 2]}, {"$inc": {"a.$[]": 1}}, {"a": [2, 3]}),
    _updates(76, {"a": [1, 5, 9]}, {"$set": {"a.$[e]": 0}}, {"a": [1, 0, 0]}, arrayFilters=[{"e": {"$gte": 5}}]),
    _updates(77, {"a": 1}, {"b": 2}, {"b": 2}),
    _upserts(
        78, {"_id": 1, "a": 5, "b.c": 2, "d": {"$gt": 1}}, {"$set": {"z": 1}}, {"_id": 1, "a": 5, "b": {"c": 2}, "z": 1}
    ),
    _updates(79, {"a": 1}, [{"$set": {"b": {"$add": ["$a", 1]}}}], {"a": 1, "b": 2}),
    _updates(80, {"a": Decimal128("0.1")}, {"$inc": {"a": 0.2}}, {"a": Decimal128("0.300000000000000")}),
]

_N: list[Document] = [
    {"_id": 1, "k": None},
    {"_id": 2},
    {"_id": 3, "k": 1},
    {"_id": 4, "k": 1.0},
    {"_id": 5, "k": Int64(1)},
]
_COUNTED = {"n": {"$sum": 1}}
_SORTED: Document = {"$sort": {"_id": 1}}

AGGREGATION = [
    _gives(81, _N[:2], [{"$group": {"_id": "$k", **_COUNTED}}], {"_id": None, "n": 2}),
    _gives(82, _N[2:], [{"$group": {"_id": "$k", **_COUNTED}}, {"$project": {"_id": 0}}], {"n": 3}),
    _gives(
        83,
        _of_values([{"x": 1, "y": 2}, {"y": 2, "x": 1}]),
        [{"$group": {"_id": "$a", **_COUNTED}}, _SORTED],
        {"_id": {"x": 1, "y": 2}, "n": 1},
        {"_id": {"y": 2, "x": 1}, "n": 1},
        secantus=False,
    ),
    _gives(84, _of_values([1, "x", None, 2]), [{"$group": {"_id": None, "s": {"$sum": "$a"}}}], {"_id": None, "s": 3}),
    _gives(84, _of_values(["x", None]), [{"$group": {"_id": None, "s": {"$avg": "$a"}}}], {"_id": None, "s": None}),
    _gives(
        85,
        _of_values([MISSING, None, [], 5, [1, 2]]),
        [{"$unwind": "$a"}],
        {"_id": 3, "a": 5},
        {"_id": 4, "a": 1},
        {"_id": 4, "a": 2},
    ),
    _computes(86, {"a": [{"b": 1}, {"c": 2}, {"b": 3}]}, "$a.b", [1, 3], secantus=False),
    _computes(87, {"a": [1, 2]}, "$a.0", [], secantus=False),
    _computes(88, {}, {"$divide": [4, 2]}, 2.0),
    _computes(88, {}, {"$round": [2.5]}, 2.0),
    _computes(89, {}, {"$concat": ["x", "$nope"]}, None),
    _gives(
        90,
        [{"_id": 1, "k": None}, {"_id": 2}, {"_id": 3, "k": 5}],
        [
            {"$match": {"_id": 2}},
            {"$lookup": {"from": "", "localField": "k", "foreignField": "k", "as": "found"}},
            {"$project": {"ids": "$found._id"}},
        ],
        {"_id": 2, "ids": [1, 2]},
        secantus=False,
    ),
    _computes(91, {"a": [1]}, {"$arrayElemAt": ["$a", 5]}, MISSING),
    _computes(92, {}, {"$toString": 1.0}, "1"),
    _gives(
        93,
        _of_values([2**31 - 1, 1]),
        [{"$group": {"_id": None, "s": {"$sum": "$a"}}}],
        {"_id": None, "s": Int64(2**31)},
    ),
    _gives(
        94,
        [{"_id": 1, "b": 1, "a": 2}],
        [{"$group": {"_id": "$_id", "z": {"$sum": "$b"}, "y": {"$sum": "$a"}}}],
        {"_id": 1, "z": 1, "y": 2},
    ),
]

DRIVER = [
    Case("97", [{"_id": 1, "a": 5}], {"insert": "", "documents": [{"_id": 2, "a": 5}]}, Looks.CODE, 11000, unique="a"),
    Case(
        "99",
        [{"_id": 1, "a": 5}],
        {"update": "", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 5}}}]},
        Looks.REPLY,
        {"n": 1, "nModified": 0},
    ),
    _keeps("101", {"_id": 1, "a": Int64(5), "b": 5}),
]

POSTGRES = [
    _keeps("P1", {"_id": 1, "a\u00e9": "x\0y", "b": {"c": "\0"}}),
    _keeps("P2", {"_id": 1, "a": "\U0001f600\ufffd\ue000"}),
    _keeps("P3", {"_id": 1, "a": NAN, "b": float("inf"), "c": float("-inf")}),
    _keeps("P4", {"_id": 1, "zz": 1, "b": 2, "a": 3}),
    _keeps("P5", {"_id": 1, "a": -0.0, "b": 1e5, "c": 1e308, "d": 1.0, "e": 1}),
    Case(
        "P6",
        [{"_id": 3, "a": {}}, {"_id": 1, "a": 1}, {"_id": 2, "a": "s"}, {"_id": 4, "a": True}, {"_id": 0}],
        {"find": "", "filter": {}, "sort": {"a": 1}},
        Looks.ORDER,
        [0, 1, 2, 3, 4],
    ),
    _finds("P7", _of_values([[1, 2], 1, [2, 1, 1]]), {"a": 1}, [0, 1, 2]),
    _finds("P7", _of_values([[1, 2], [2, 1, 1]]), {"a": [1, 2]}, [0]),
    _finds("P8", _of_values([None, MISSING, 1]), {"a": None}, [0, 1]),
    _finds("P9", _of_values(["x" * 5000, "x" * 4999]), {"a": "x" * 5000}, [0], unique="a"),
    _finds("P10", _of_values(["y" * 1_000_000]), {"a": "y" * 1_000_000}, [0]),
    _keeps("P11", {"_id": 1, "a": Decimal128("-0"), "b": Decimal128("1E+2"), "c": Decimal128("1.00")}),
    _keeps("P12", {"_id": 1, "a": DatetimeMS(2**63 - 1), "b": DatetimeMS(-(2**63))}, secantus=False),
]

CASES: Final = [*MATCHING, *PATHS, *OPERATORS, *SORTING, *UPDATING, *AGGREGATION, *DRIVER, *POSTGRES]
