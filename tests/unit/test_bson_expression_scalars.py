"""Expressions over numbers, strings, types and dates: what each comes to, or the code of its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.expression import compile_expression
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

AT = DatetimeMS(1_704_164_645_678)  # 2024-01-02T03:04:05.678Z, a Tuesday
AN_HOUR_BEFORE = DatetimeMS(int(AT) - 3_600_000)
SUNDAY, MONDAY = DatetimeMS(1_704_585_600_000), DatetimeMS(1_704_672_000_000)
JANUARY_31, FEBRUARY_29 = DatetimeMS(1_706_659_200_000), DatetimeMS(1_709_164_800_000)
ID = ObjectId("65937b65" + "0" * 16)


@dataclass(frozen=True)
class Fails:
    """The code of an error."""

    code: int


DOCUMENT: dict[str, Any] = {"_id": 1, "s": "Straße", "n": 5, "d": AT, "u": None, "id": ID, "t": Timestamp(100, 1)}

POWERS: list[tuple[Any, Any]] = [
    ({"$round": 2.5}, 2.0),
    ({"$round": [3.5]}, 4.0),
    ({"$round": [-2.5]}, -2.0),
    ({"$round": [2.345, 2]}, 2.35),
    ({"$round": [1234.5, -2]}, 1200.0),
    ({"$round": [1250, -2]}, 1200),
    ({"$round": [Int64(1350), -2]}, Int64(1400)),
    ({"$round": [7, 1]}, 7),
    ({"$round": [Decimal128("2.665"), 2]}, Decimal128("2.66")),
    ({"$round": "$none"}, None),
    ({"$round": "$s"}, Fails(51081)),
    ({"$round": [1.5, 0.5]}, Fails(51082)),
    ({"$round": [1.5, 101]}, Fails(51083)),
    ({"$round": [2**31 - 1, -1]}, Int64(2147483650)),
    ({"$trunc": [-2.7]}, -2.0),
    ({"$trunc": [2.789, 2]}, 2.78),
    ({"$trunc": [1299, -2]}, 1200),
    ({"$trunc": [math.inf]}, math.inf),
    ({"$pow": [2, 10]}, 1024),
    ({"$pow": [2, 31]}, Int64(2**31)),
    ({"$pow": [2, 63]}, 2.0**63),
    ({"$pow": [2, -1]}, 0.5),
    ({"$pow": [-1, 3]}, -1),
    ({"$pow": [1, -5]}, 1),
    ({"$pow": [0, 0]}, 1),
    ({"$pow": [2.0, 2]}, 4.0),
    ({"$pow": [0, -1]}, Fails(28764)),
    ({"$pow": ["$s", 1]}, Fails(28762)),
    ({"$pow": [1, "$s"]}, Fails(28763)),
    ({"$pow": [None, 1]}, None),
    ({"$sqrt": 16}, 4.0),
    ({"$sqrt": -1}, Fails(28714)),
    ({"$exp": 0}, 1.0),
    ({"$ln": 1}, 0.0),
    ({"$ln": 0}, Fails(28766)),
    ({"$log10": 1000}, 3.0),
    ({"$log10": -1}, Fails(28761)),
    ({"$log": [8, 2]}, 3.0),
    ({"$log": [-8, 2]}, Fails(28758)),
    ({"$log": [8, 1]}, Fails(28759)),
]

STRINGS: list[tuple[Any, Any]] = [
    ({"$concat": ["a", "$s", "b"]}, "aStraßeb"),
    ({"$concat": ["a", "$none"]}, None),  # 89
    ({"$concat": ["a", 1]}, Fails(16702)),
    ({"$toUpper": "$s"}, "STRAßE"),
    ({"$toLower": "$s"}, "straße"),
    ({"$toUpper": "$none"}, ""),
    ({"$toLower": 5}, "5"),
    ({"$toUpper": [["a"]]}, Fails(16007)),
    ({"$strcasecmp": ["abc", "ABD"]}, -1),
    ({"$strcasecmp": ["$none", ""]}, 0),
    ({"$strLenBytes": "$s"}, 7),
    ({"$strLenCP": "$s"}, 6),
    ({"$strLenCP": "$none"}, Fails(34471)),
    ({"$strLenBytes": 5}, Fails(34473)),
    ({"$substr": ["$s", 0, 3]}, "Str"),
    ({"$substrBytes": ["$s", 4, -1]}, "ße"),
    ({"$substrBytes": ["$s", 5, 1]}, Fails(28656)),
    ({"$substrBytes": ["$s", 0, 5]}, Fails(28657)),
    ({"$substrBytes": ["$s", 10, 5]}, ""),
    ({"$substrBytes": ["$s", -1, 5]}, Fails(50752)),
    ({"$substrBytes": ["$s", "a", 5]}, Fails(16034)),
    ({"$substrBytes": ["$s", 0, "a"]}, Fails(16035)),
    ({"$substrCP": ["$s", 4, 2]}, "ße"),
    ({"$substrCP": ["$s", 9, 2]}, ""),
    ({"$substrCP": ["$s", 0, -1]}, Fails(34454)),
    ({"$substrCP": ["$s", -1, 1]}, Fails(34455)),
    ({"$substrCP": ["$s", "a", 1]}, Fails(34450)),
    ({"$substrCP": ["$s", 1.5, 1]}, Fails(34451)),
    ({"$split": ["a,,b,", ","]}, ["a", "", "b", ""]),
    ({"$split": ["$none", ","]}, None),
    ({"$split": ["a", ""]}, Fails(40087)),
    ({"$split": [5, ","]}, Fails(40085)),
    ({"$split": ["a", 5]}, Fails(40086)),
    ({"$trim": {"input": " \t a b\u00a0\n"}}, "a b"),
    ({"$ltrim": {"input": "xxaxx", "chars": "x"}}, "axx"),
    ({"$rtrim": {"input": "xyaxy", "chars": "xy"}}, "xya"),
    ({"$trim": {"input": "$none"}}, None),
    ({"$trim": {"input": 5}}, Fails(50699)),
    ({"$trim": {"input": "a", "chars": 5}}, Fails(50700)),
    ({"$trim": {}}, Fails(50695)),
    ({"$trim": {"input": "a", "x": 1}}, Fails(50694)),
    ({"$trim": "a"}, Fails(50696)),
    ({"$indexOfBytes": ["$s", "e"]}, 6),
    ({"$indexOfCP": ["$s", "e"]}, 5),
    ({"$indexOfCP": ["$s", "z"]}, -1),
    ({"$indexOfCP": ["abcabc", "a", 1]}, 3),
    ({"$indexOfCP": ["abcabc", "a", 1, 3]}, -1),
    ({"$indexOfCP": ["abc", "", 3]}, 3),
    ({"$indexOfCP": ["abc", "", 4]}, -1),
    ({"$indexOfCP": ["$none", "a"]}, None),
    ({"$indexOfBytes": [5, "a"]}, Fails(40091)),
    ({"$indexOfCP": ["a", 5]}, Fails(40094)),
    ({"$indexOfCP": ["a", "a", 0.5]}, Fails(40096)),
    ({"$indexOfCP": ["a", "a", -1]}, Fails(40097)),
    ({"$replaceOne": {"input": "aaa", "find": "a", "replacement": "b"}}, "baa"),
    ({"$replaceAll": {"input": "aaa", "find": "a", "replacement": "b"}}, "bbb"),
    ({"$replaceAll": {"input": "$none", "find": "a", "replacement": "b"}}, None),
    ({"$replaceAll": {"input": 5, "find": "a", "replacement": "b"}}, Fails(51746)),
    ({"$replaceOne": {"input": "a", "find": 5, "replacement": "b"}}, Fails(51745)),
    ({"$replaceOne": {"input": "a", "find": "a", "replacement": 5}}, Fails(51744)),
]

CONVERSIONS: list[tuple[Any, Any]] = [
    ({"$toString": 1.0}, "1"),  # 92
    ({"$toString": 0.1}, "0.1"),
    ({"$toString": 1e21}, "1e+21"),
    ({"$toString": Int64(5)}, "5"),
    ({"$toString": Decimal128("1.50")}, "1.50"),
    ({"$toString": True}, "true"),
    ({"$toString": "$d"}, "2024-01-02T03:04:05.678Z"),
    ({"$toString": "$id"}, str(ID)),
    ({"$toString": "$none"}, None),
    ({"$toString": [[1]]}, Fails(241)),
    ({"$toInt": "12"}, 12),
    ({"$toInt": "-7"}, -7),
    ({"$toInt": "1.5"}, Fails(241)),
    ({"$toInt": " 1"}, Fails(241)),
    ({"$toInt": 2.9}, 2),
    ({"$toInt": -2.9}, -2),
    ({"$toInt": 1e10}, Fails(241)),
    ({"$toInt": math.nan}, Fails(241)),
    ({"$toInt": True}, 1),
    ({"$toInt": "$d"}, Fails(241)),
    ({"$toLong": "$d"}, Int64(int(AT))),
    ({"$toLong": "99999999999"}, Int64(99999999999)),
    ({"$toLong": Decimal128("5.9")}, Int64(5)),
    ({"$toDouble": "1e3"}, 1000.0),
    ({"$toDouble": "x"}, Fails(241)),
    ({"$toDouble": "1_0"}, Fails(241)),
    ({"$toDouble": False}, 0.0),
    ({"$toDouble": "$d"}, float(int(AT))),
    ({"$toDecimal": "1.10"}, Decimal128("1.10")),
    ({"$toDecimal": 0.1}, Decimal128("0.100000000000000")),
    ({"$toDecimal": 5}, Decimal128("5")),
    ({"$toBool": "false"}, True),
    ({"$toBool": 0}, False),
    ({"$toBool": 0.5}, True),
    ({"$toBool": "$none"}, None),
    ({"$toDate": Int64(0)}, DatetimeMS(0)),
    ({"$toDate": "2024-01-02"}, DatetimeMS(1_704_153_600_000)),
    ({"$toDate": "2024-01-02T03:04:05.678Z"}, AT),
    ({"$toDate": "2024-01-02T03:04:05.678+01:00"}, AN_HOUR_BEFORE),
    ({"$toDate": "soon"}, Fails(241)),
    ({"$toDate": "$id"}, DatetimeMS(0x65937B65 * 1000)),
    ({"$toDate": "$t"}, DatetimeMS(100_000)),
    ({"$toObjectId": str(ID)}, ID),
    ({"$toObjectId": "short"}, Fails(241)),
    ({"$toObjectId": 5}, Fails(241)),
    ({"$convert": {"input": "x", "to": "int", "onError": "bad"}}, "bad"),
    ({"$convert": {"input": "$none", "to": "int", "onNull": 7}}, 7),
    ({"$convert": {"input": "5", "to": 16}}, 5),
    ({"$convert": {"input": "5", "to": "nonsense"}}, Fails(2)),
    ({"$convert": {"input": "5", "to": "$none"}}, None),
    ({"$convert": {"input": "5"}}, Fails(9)),
    ({"$convert": {"input": "5", "to": "int", "x": 1}}, Fails(9)),
    ({"$type": "$none"}, "missing"),
    ({"$type": "$d"}, "date"),
    ({"$type": 1.5}, "double"),
    ({"$isNumber": Decimal128("1")}, True),
    ({"$isNumber": "1"}, False),
    ({"$bsonSize": {"a": 1}}, 12),
    ({"$bsonSize": 5}, Fails(31393)),
    ({"$binarySize": "ß"}, 2),
    ({"$binarySize": 5}, Fails(51276)),
]

DATES: list[tuple[Any, Any]] = [
    ({"$year": "$d"}, 2024),
    ({"$month": "$d"}, 1),
    ({"$dayOfMonth": "$d"}, 2),
    ({"$dayOfWeek": "$d"}, 3),
    ({"$dayOfYear": "$d"}, 2),
    ({"$hour": "$d"}, 3),
    ({"$minute": "$d"}, 4),
    ({"$second": "$d"}, 5),
    ({"$millisecond": "$d"}, 678),
    ({"$week": "$d"}, 0),
    ({"$isoWeek": "$d"}, 1),
    ({"$isoWeekYear": "$d"}, Int64(2024)),
    ({"$isoDayOfWeek": "$d"}, 2),
    ({"$hour": {"date": "$d", "timezone": "America/New_York"}}, 22),
    ({"$hour": {"date": "$d", "timezone": "+05:30"}}, 8),
    ({"$dayOfMonth": {"date": "$d", "timezone": "America/New_York"}}, 1),
    ({"$year": "$none"}, None),
    ({"$year": "$s"}, Fails(16006)),
    ({"$hour": {"date": "$d", "timezone": "Nowhere"}}, Fails(40485)),
    ({"$hour": {"date": "$d", "timezone": 5}}, Fails(40517)),
    ({"$hour": {"timezone": "UTC"}}, Fails(40539)),
    ({"$hour": {"date": "$d", "x": 1}}, Fails(40535)),
    ({"$year": "$id"}, 2024),
    ({"$dateToString": {"date": "$d"}}, "2024-01-02T03:04:05.678Z"),
    ({"$dateToString": {"date": "$d", "format": "%Y-%m-%d %H:%M:%S.%L %%"}}, "2024-01-02 03:04:05.678 %"),
    ({"$dateToString": {"date": "$d", "format": "%j %w %u %U %V %G %b %B"}}, "002 3 2 00 01 2024 Jan January"),
    ({"$dateToString": {"date": "$d", "format": "%H%z %Z", "timezone": "+05:30"}}, "08+0530 330"),
    ({"$dateToString": {"date": "$none", "onNull": "none"}}, "none"),
    ({"$dateToString": {"date": "$none"}}, None),
    ({"$dateToString": {"date": "$d", "format": "%"}}, Fails(18535)),
    ({"$dateToString": {"date": "$d", "format": "%Q"}}, Fails(18536)),
    ({"$dateToString": {"date": "$d", "format": 5}}, Fails(18533)),
    ({"$dateToString": {}}, Fails(18628)),
    ({"$dateToParts": {"date": "$d"}},
     {"year": 2024, "month": 1, "day": 2, "hour": 3, "minute": 4, "second": 5, "millisecond": 678}),
    ({"$dateToParts": {"date": "$d", "iso8601": True}},
     {"isoWeekYear": 2024, "isoWeek": 1, "isoDayOfWeek": 2, "hour": 3, "minute": 4, "second": 5, "millisecond": 678}),
    ({"$dateFromParts": {"year": 2024, "month": 1, "day": 2}}, DatetimeMS(1_704_153_600_000)),
    ({"$dateFromParts": {"year": 2023, "month": 13, "day": 2}}, DatetimeMS(1_704_153_600_000)),
    ({"$dateFromParts": {"isoWeekYear": 2024, "isoWeek": 1, "isoDayOfWeek": 2}}, DatetimeMS(1_704_153_600_000)),
    ({"$dateFromParts": {"year": 2024, "hour": 1, "timezone": "+01:00"}}, DatetimeMS(1_704_067_200_000)),
    ({"$dateFromParts": {"year": "$none"}}, None),
    ({"$dateFromParts": {"year": 1.5}}, Fails(40515)),
    ({"$dateFromParts": {"year": 0}}, Fails(40523)),
    ({"$dateFromParts": {"month": 1}}, Fails(40516)),
    ({"$dateFromParts": {"year": 2024, "isoWeek": 1}}, Fails(40489)),
    ({"$dateFromString": {"dateString": "2024-01-02T03:04:05.678Z"}}, AT),
    ({"$dateFromString": {"dateString": "2024-01-02T03:04:05.678", "timezone": "+01:00"}}, AN_HOUR_BEFORE),
    ({"$dateFromString": {"dateString": "x", "onError": 1}}, 1),
    ({"$dateFromString": {"dateString": "$none", "onNull": 2}}, 2),
    ({"$dateFromString": {"dateString": "x"}}, Fails(241)),
    ({"$dateAdd": {"startDate": "$d", "unit": "day", "amount": 1}}, DatetimeMS(int(AT) + 86_400_000)),
    ({"$dateAdd": {"startDate": JANUARY_31, "unit": "month", "amount": 1}}, FEBRUARY_29),
    ({"$dateSubtract": {"startDate": "$d", "unit": "hour", "amount": 3}}, DatetimeMS(int(AT) - 10_800_000)),
    ({"$dateAdd": {"startDate": "$none", "unit": "day", "amount": 1}}, None),
    ({"$dateAdd": {"startDate": "$d", "unit": "eon", "amount": 1}}, Fails(9)),
    ({"$dateAdd": {"startDate": "$d", "unit": "day", "amount": 1.5}}, Fails(5166405)),
    ({"$dateAdd": {"startDate": "$s", "unit": "day", "amount": 1}}, Fails(5166403)),
    ({"$dateDiff": {"startDate": DatetimeMS(0), "endDate": "$d", "unit": "year"}}, Int64(54)),
    ({"$dateDiff": {"startDate": DatetimeMS(0), "endDate": "$d", "unit": "day"}}, Int64(19724)),
    ({"$dateDiff": {"startDate": DatetimeMS(0), "endDate": "$d", "unit": "quarter"}}, Int64(216)),
    ({"$dateDiff": {"startDate": "$d", "endDate": DatetimeMS(0), "unit": "hour"}}, Int64(-473379)),
    ({"$dateDiff": {"startDate": SUNDAY, "endDate": MONDAY, "unit": "week",
                    "startOfWeek": "mon"}}, Int64(1)),
    ({"$dateDiff": {"startDate": SUNDAY, "endDate": MONDAY, "unit": "week"}},
     Int64(0)),
    ({"$dateTrunc": {"date": "$d", "unit": "hour"}}, DatetimeMS(1_704_164_400_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "minute", "binSize": 5}}, DatetimeMS(1_704_164_400_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "day"}}, DatetimeMS(1_704_153_600_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "week", "startOfWeek": "monday"}}, DatetimeMS(1_704_067_200_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "week"}}, DatetimeMS(1_703_980_800_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "month"}}, DatetimeMS(1_704_067_200_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "year"}}, DatetimeMS(1_704_067_200_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "day", "timezone": "America/New_York"}}, DatetimeMS(1_704_085_200_000)),
    ({"$dateTrunc": {"date": "$d", "unit": "day", "binSize": 0}}, Fails(5439018)),
    ({"$dateTrunc": {"date": "$s", "unit": "day"}}, Fails(5439012)),
    ({"$dateTrunc": {"date": "$d", "unit": "eon"}}, Fails(9)),
]  # fmt: skip

REGEXES: list[tuple[Any, Any]] = [
    ({"$regexMatch": {"input": "$s", "regex": "^STR", "options": "i"}}, True),
    ({"$regexMatch": {"input": "$s", "regex": Regex("^str", "i")}}, True),
    ({"$regexMatch": {"input": "$s", "regex": "x$"}}, False),
    ({"$regexMatch": {"input": "$none", "regex": "x"}}, False),
    ({"$regexMatch": {"input": "$s", "regex": None}}, False),
    ({"$regexMatch": {"input": 5, "regex": "x"}}, Fails(51104)),
    ({"$regexMatch": {"input": "a", "regex": 5}}, Fails(51105)),
    ({"$regexMatch": {"input": "a", "regex": "a", "options": 5}}, Fails(51106)),
    ({"$regexMatch": {"input": "a", "regex": Regex("a", "i"), "options": "i"}}, Fails(51107)),
    ({"$regexMatch": {"input": "a", "regex": "a", "options": "q"}}, Fails(51108)),
    ({"$regexMatch": {"input": "a"}}, Fails(31023)),
    ({"$regexMatch": {"regex": "a"}}, Fails(31022)),
    ({"$regexMatch": {"input": "a", "regex": "a", "x": 1}}, Fails(31024)),
    ({"$regexMatch": "a"}, Fails(51103)),
    ({"$regexFind": {"input": "$s", "regex": "(a)(x)?(ß)"}},
     {"match": "aß", "idx": 3, "captures": ["a", None, "ß"]}),
    ({"$regexFind": {"input": "ßß-ab", "regex": Regex("A(b*)", "i")}}, {"match": "ab", "idx": 3, "captures": ["b"]}),
    ({"$regexFind": {"input": "ab", "regex": "a()", "options": "s"}}, {"match": "a", "idx": 0, "captures": [""]}),
    ({"$regexFind": {"input": "$s", "regex": "x"}}, None),
    ({"$regexFind": {"input": "$none", "regex": "x"}}, None),
    ({"$regexFind": {"input": "$s", "regex": None}}, None),
    ({"$regexFind": {"input": 5, "regex": "x"}}, Fails(51104)),
    ({"$regexFindAll": {"input": "a1b22", "regex": "[a-z](?<n>[0-9]+)"}},
     [{"match": "a1", "idx": 0, "captures": ["1"]}, {"match": "b22", "idx": 2, "captures": ["22"]}]),
    ({"$regexFindAll": {"input": "baac", "regex": "a*"}},
     [{"match": "", "idx": 0, "captures": []}, {"match": "aa", "idx": 1, "captures": []},
      {"match": "", "idx": 3, "captures": []}]),
    ({"$regexFindAll": {"input": "", "regex": "a*"}}, [{"match": "", "idx": 0, "captures": []}]),
    ({"$regexFindAll": {"input": "aaa", "regex": "^a"}}, [{"match": "a", "idx": 0, "captures": []}]),
    ({"$regexFindAll": {"input": "a\na", "regex": "^a", "options": "m"}},
     [{"match": "a", "idx": 0, "captures": []}, {"match": "a", "idx": 2, "captures": []}]),
    ({"$regexFindAll": {"input": "ab", "regex": "(?<=a)b"}}, [{"match": "b", "idx": 1, "captures": []}]),
    ({"$regexFindAll": {"input": "$none", "regex": "x"}}, []),
    ({"$regexFindAll": {"input": "$s", "regex": "x"}}, []),
    ({"$regexFindAll": {"input": "$s", "regex": 5}}, Fails(51105)),
    ({"$regexFindAll": {"input": "a"}}, Fails(31023)),
]  # fmt: skip

CASES = [*REGEXES, *POWERS, *STRINGS, *CONVERSIONS, *DATES]


def outcome(expression: Any) -> Any:
    """The value's bytes, or the code of the error."""
    try:
        value = compile_expression(expression).evaluate(DOCUMENT)
    except CommandFailure as failure:
        return failure.code
    return encode({} if value is MISSING else {"v": value})


def expected(result: Any) -> Any:
    """What an outcome is compared with."""
    return result.code if isinstance(result, Fails) else encode({"v": result})


@pytest.mark.parametrize(("expression", "result"), CASES, ids=lambda value: str(value)[:70])
def test_scalars(expression: Any, result: Any) -> None:
    assert outcome(expression) == expected(result)
