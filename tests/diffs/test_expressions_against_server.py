"""Expressions against a real server. Where SecantusDB, which is not MongoDB, differs, the table says so."""

from __future__ import annotations

from typing import Any

import pymongo
from bson.decimal128 import Decimal128
from bson.regex import Regex
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC, encode
from tests.unit import test_bson_expression_functions as functions
from tests.unit.test_bson_expression_scalars import CASES, DOCUMENT, outcome

DIFFERENCES: list[Any] = [
    {"$pow": [1, -5]},  # a double
    {"$substrBytes": ["$s", "a", 5]},  # codes of its own, here and below
    {"$substrBytes": ["$s", 0, "a"]},
    {"$substrCP": ["$s", "a", 1]},
    {"$split": ["a", 5]},
    {"$dateToString": {"date": "$d", "format": "%"}},
    {"$dateToString": {"date": "$d", "format": 5}},
    {"$dateFromParts": {"year": 2024, "isoWeek": 1}},
    {"$dateAdd": {"startDate": "$s", "unit": "day", "amount": 1}},
    {"$dateTrunc": {"date": "$s", "unit": "day"}},
    {"$convert": {"input": "5", "to": "$none"}},
    {"$regexMatch": {"input": "$s", "regex": None}},
    {"$regexMatch": {"input": "a", "regex": 5}},
    {"$regexMatch": {"input": "a", "regex": "a", "options": 5}},
    {"$regexMatch": {"input": "a", "regex": Regex("a", "i"), "options": "i"}},
    {"$regexMatch": {"input": "a", "regex": "a", "options": "q"}},
    {"$regexFind": {"input": "$s", "regex": None}},
    {"$regexFindAll": {"input": "a1b22", "regex": "[a-z](?<n>[0-9]+)"}},  # knows no named groups
    {"$regexFindAll": {"input": "baac", "regex": "a*"}},  # an empty match at the end too
    {"$regexFindAll": {"input": "$s", "regex": 5}},
    {"$isoWeekYear": "$d"},  # an int
    {"$dateToString": {"date": "$none", "onNull": "none"}},
    {"$sin": Decimal128("1E+22")},  # wrong from the 28th digit on
    {"$cos": Decimal128("0")},  # exact results have digits of their own, here and below
    {"$acos": Decimal128("1")},
    {"$cosh": Decimal128("0")},
    {"$tanh": Decimal128("100")},
    {"$tanh": Decimal128("-1E+9")},  # NaN
    {"$atanh": Decimal128("-1")},  # a double
    {"$bitAnd": ["$s", "$none"]},  # null wherever it stands
]
UNANSWERED: list[Any] = [
    {"$atan2": [1, Decimal128("1")]},
    {"$atan2": [Decimal128("-Infinity"), 1]},
    {"$atan2": [Decimal128("NaN"), 1]},
]
"""What SecantusDB computes for ever."""


def test_scalars(mongo_uri: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client.get_default_database().get_collection("values", codec_options=CODEC)
        collection.insert_one(dict(DOCUMENT))

        def answer(expression: Any) -> Any:
            try:
                return encode(collection.aggregate([{"$project": {"_id": 0, "v": expression}}]).to_list()[0])
            except OperationFailure as error:
                return error.code

        secantus = "secantusVersion" in client.server_info()
        asked = [expression for expression, _ in [*CASES, *functions.CASES]]
        asked = [each for each in asked if not secantus or each not in UNANSWERED]
        differing = [expression for expression in asked if outcome(expression) != answer(expression)]
    assert sorted(map(str, differing)) == (sorted(map(str, DIFFERENCES)) if secantus else [])
