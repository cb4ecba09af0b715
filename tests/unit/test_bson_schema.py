"""``$jsonSchema``, keyword by keyword, and the operators of filters that are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bson.code import Code
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.bson.match import compile_filter
from shadow_adapters.failures import CommandFailure

OF_A: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    ({"type": "number"}, [1, 1.5, Int64(1), Decimal128("1")], ["1", None, [1], True]),
    ({"type": ["string", "null"]}, ["x", None], [1, ["x"], {}]),
    ({"type": "object"}, [{}], [[], "x"]),
    ({"type": "array"}, [[], [1]], [{}, 1]),
    ({"type": "boolean"}, [True, False], [1, 0]),
    ({"bsonType": "int"}, [1], [Int64(1), 1.0, [1]]),
    ({"bsonType": ["long", "objectId"]}, [Int64(1), ObjectId("650000000000000000000001")], [1, "x"]),
    ({"bsonType": "number"}, [1, Int64(1)], ["1"]),
    ({"minimum": 2}, [2, 2.5, Int64(3), "x", [1], None], [1, Decimal128("1.9"), math.nan]),
    ({"minimum": 2, "exclusiveMinimum": True}, [3, "x"], [2, 2.0, 1]),
    ({"maximum": 2, "exclusiveMaximum": False}, [2, 1, "x", [5]], [3, Decimal128("2.1")]),
    ({"maximum": 2, "exclusiveMaximum": True}, [1], [2]),
    ({"multipleOf": 2}, [4, 0, -6, 8.0, "x"], [3, 4.5, math.inf]),
    ({"multipleOf": 0.1}, [0.3, Decimal128("0.7"), 2], [0.25]),
    ({"minLength": 2}, ["ab", "éé", 1, ["a"], Code("a")], ["a", ""]),
    ({"maxLength": 2}, ["ab", "éé", "", 12345], ["abc"]),
    ({"pattern": "^a"}, ["ab", 5, ["b"]], ["b", "ba"]),
    ({"enum": [1, "x", {"b": 1, "c": 2}, [1, 2]]}, [1, 1.0, "x", {"c": 2, "b": 1}, [1, 2]], [2, [1], {"b": 1}, None]),
    ({"minItems": 1}, [[1], [1, 2], 5], [[]]),
    ({"maxItems": 1}, [[], [1], {}], [[1, 2]]),
    ({"uniqueItems": True}, [[1, 2], [], 5, [1, "1"]], [[1, 1.0], [{"b": 1, "c": 2}, {"c": 2, "b": 1}]]),
    ({"uniqueItems": False}, [[1, 1]], []),
    ({"items": {"type": "number"}}, [[], [1, 2.5], "x"], [["x"], [1, "x"]]),
    ({"items": [{"type": "number"}, {"type": "string"}]}, [[1, "x"], [1], [], [1, "x", None]], [["x"], [1, 2]]),
    ({"items": [{"type": "number"}], "additionalItems": False}, [[1], []], [[1, 2]]),
    ({"items": [{"type": "number"}], "additionalItems": {"type": "string"}}, [[1, "x"], [1]], [[1, 2]]),
    ({"items": {}, "additionalItems": False}, [[1, 2]], []),
    ({"additionalItems": False}, [[1, 2]], []),
    ({"required": ["b", "c"]}, [{"b": 1, "c": None}, 5, [{}]], [{"b": 1}, {}]),
    ({"properties": {"b": {"type": "number"}}}, [{"b": 1}, {}, {"c": "x"}, "x"], [{"b": "x"}, {"b": None}]),
    ({"properties": {"b": {"type": "number"}}, "additionalProperties": False}, [{"b": 1}, {}], [{"b": 1, "c": 1}]),
    ({"additionalProperties": {"type": "number"}}, [{"b": 1}, {}], [{"b": 1, "c": "x"}]),
    ({"additionalProperties": True}, [{"b": 1}], []),
    ({"patternProperties": {"^b": {"type": "number"}}}, [{"b1": 1, "c": "x"}, {}], [{"b2": "x"}]),
    (
        {"patternProperties": {"^b": {}}, "properties": {"c": {}}, "additionalProperties": False},
        [{"b1": 1, "c": "x"}],
        [{"d": 1}],
    ),
    ({"minProperties": 1}, [{"b": 1}, 5], [{}]),
    ({"maxProperties": 1}, [{"b": 1}, {}, "x"], [{"b": 1, "c": 1}]),
    ({"dependencies": {"b": ["c"]}}, [{"b": 1, "c": 1}, {"c": 1}, {}, 5], [{"b": 1}]),
    ({"dependencies": {"b": {"required": ["c"]}}}, [{"b": 1, "c": 1}, {"d": 1}], [{"b": 1}]),
    ({"allOf": [{"type": "number"}, {"minimum": 2}]}, [2], [1, "x"]),
    ({"anyOf": [{"type": "string"}, {"minimum": 2}]}, [2, "x", None], [1]),
    ({"oneOf": [{"type": "number"}, {"minimum": 2}]}, [1, "x"], [2]),
    ({"not": {"type": "number"}}, ["x", None], [1]),
    ({"title": "t", "description": "d"}, [1, None, {}], []),
    ({}, [1, None, {}], []),
]


@pytest.mark.parametrize(("schema", "fitting", "others"), OF_A, ids=lambda value: str(value)[:50])
def test_the_schema_of_a_field(schema: dict[str, Any], fitting: list[Any], others: list[Any]) -> None:
    matches = compile_filter({"$jsonSchema": {"properties": {"a": schema}}}).matches
    assert matches({"_id": 1})
    assert [value for value in fitting if not matches({"a": value})] == []
    assert [value for value in others if matches({"a": value})] == []


def test_the_schema_of_a_document() -> None:
    schema = {"bsonType": "object", "required": ["a"], "minProperties": 2, "maximum": 0, "minItems": 5}
    documents: list[dict[str, Any]] = [{"_id": 1, "a": 1}, {"_id": 2, "b": 1}, {"a": 1}]
    matches = compile_filter({"$jsonSchema": schema}).matches
    assert [matches(document) for document in documents] == [True, False, False]
    nor = compile_filter({"$nor": [{"$jsonSchema": schema}], "_id": {"$exists": True}}).matches
    assert [nor(document) for document in documents] == [False, True, False]
    assert not compile_filter({"$jsonSchema": {"type": "array"}}).matches({})


@pytest.mark.parametrize(
    ("schema", "code", "unsupported"),
    [
        (5, 14, None),
        ({"foo": 1}, 9, None),
        ({"$ref": "#"}, 9, None),
        ({"properties": {"a": {"default": 1}}}, 9, None),
        ({"encrypt": {}}, 9, "$jsonSchema encrypt"),
        ({"type": "integer"}, 9, None),
        ({"type": "int"}, 2, None),
        ({"bsonType": "foo"}, 2, None),
        ({"type": 1}, 14, None),
        ({"type": []}, 9, None),
        ({"type": ["string", "string"]}, 9, None),
        ({"type": "string", "bsonType": "string"}, 9, None),
        ({"maximum": "x"}, 14, None),
        ({"exclusiveMaximum": True}, 9, None),
        ({"minimum": 1, "exclusiveMinimum": 1}, 14, None),
        ({"multipleOf": 0}, 9, None),
        ({"multipleOf": "x"}, 14, None),
        ({"minLength": -1}, 9, None),
        ({"minLength": 1.5}, 9, None),
        ({"minLength": "x"}, 9, None),
        ({"pattern": 1}, 14, None),
        ({"enum": 1}, 14, None),
        ({"enum": []}, 9, None),
        ({"enum": [1, 1.0]}, 9, None),
        ({"allOf": {}}, 14, None),
        ({"allOf": []}, 2, None),
        ({"anyOf": [1]}, 14, None),
        ({"not": []}, 14, None),
        ({"items": 1}, 14, None),
        ({"items": [1]}, 14, None),
        ({"additionalItems": 1}, 14, None),
        ({"uniqueItems": 1}, 14, None),
        ({"required": []}, 9, None),
        ({"required": [1]}, 14, None),
        ({"required": ["a", "a"]}, 9, None),
        ({"properties": 1}, 14, None),
        ({"properties": {"a": 1}}, 14, None),
        ({"patternProperties": {"a": 1}}, 14, None),
        ({"additionalProperties": 1}, 14, None),
        ({"dependencies": {"a": 1}}, 14, None),
        ({"dependencies": {"a": []}}, 9, None),
        ({"title": 1}, 14, None),
    ],
)
def test_schemas_that_are_none(schema: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_filter({"$jsonSchema": schema})
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


@pytest.mark.parametrize(
    ("filter", "code", "unsupported"),
    [
        ({"$text": {"$search": "x"}}, 27, "$text"),
        ({"$where": "true"}, 2, "$where"),
        ({"a": {"$near": [0, 0]}}, 291, "$near"),
        ({"a": {"$nearSphere": [0, 0]}}, 291, "$nearSphere"),
        ({"a": {"$geoWithin": {"$box": []}}}, 2, "$geoWithin"),
        ({"a": {"$geoIntersects": {"$geometry": {}}}}, 2, "$geoIntersects"),
        ({"a": {"$jsonSchema": {}}}, 2, "$jsonSchema"),
        ({"$foo": 1}, 2, "$foo"),
    ],
)
def test_operators_that_are_refused(filter: dict[str, Any], code: int, unsupported: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_filter(filter)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)
