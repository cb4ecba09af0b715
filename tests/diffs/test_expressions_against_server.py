"""Expressions against a real server. Where SecantusDB, which is not MongoDB, differs, the table says so."""

from __future__ import annotations

from typing import Any

import pymongo
from bson.regex import Regex
from pymongo.errors import OperationFailure

from shadow_adapters.bson.codec import CODEC, encode
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
    {"$isoWeekYear": "$d"},  # an int
    {"$dateToString": {"date": "$none", "onNull": "none"}},
]


def test_scalars(mongo_uri: str) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client.get_default_database().get_collection("values", codec_options=CODEC)
        collection.insert_one(dict(DOCUMENT))

        def answer(expression: Any) -> Any:
            try:
                return encode(collection.aggregate([{"$project": {"_id": 0, "v": expression}}]).to_list()[0])
            except OperationFailure as error:
                return error.code

        differing = [expression for expression, _ in CASES if outcome(expression) != answer(expression)]
        secantus = "secantusVersion" in client.server_info()
    assert sorted(map(str, differing)) == (sorted(map(str, DIFFERENCES)) if secantus else [])
