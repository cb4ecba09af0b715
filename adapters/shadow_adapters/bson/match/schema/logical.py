"""The keywords of values of any type: ``type bsonType enum allOf anyOf oneOf not``, and those that only describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.match.schema.arguments import Keyword, Parse, array, bad, document, unordered_key, wrong_type
from shadow_adapters.bson.paths import Predicate
from shadow_adapters.bson.types import NUMBERS, type_name
from shadow_adapters.failures import CommandFailure

_NUMBER: Final = frozenset(("int", "long", "double", "decimal"))
_JSON: Final[Mapping[str, frozenset[str]]] = {
    "array": frozenset(("array",)),
    "boolean": frozenset(("bool",)),
    "null": frozenset(("null",)),
    "number": _NUMBER,
    "object": frozenset(("object",)),
    "string": frozenset(("string",)),
}
_BSON: Final[Mapping[str, frozenset[str]]] = {name: frozenset((name,)) for name in NUMBERS} | {"number": _NUMBER}


def _type(name: str, argument: Any, schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    if name == "type" and "bsonType" in schema:
        raise CommandFailure(9, "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'")
    asked = argument if isinstance(argument, list | tuple) else [argument]
    if not all(isinstance(each, str) for each in asked):
        wrong_type(name, "either a string or an array of strings", argument)
    if len(set(asked)) < len(asked):
        bad(name, "has duplicate value")
    if not asked:
        bad(name, "must name at least one type")
    wanted = frozenset().union(*(_named(name, each) for each in asked))
    return lambda value: type_name(value) in wanted


def _named(keyword: str, alias: str) -> frozenset[str]:
    if keyword == "type" and alias == "integer":
        raise CommandFailure(9, "$jsonSchema type 'integer' is not currently supported.")
    types = (_JSON if keyword == "type" else _BSON).get(alias)
    if types is None:
        raise CommandFailure(2, f"Unknown type name alias: {alias}")
    return types


def _enum(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    values = array(name, argument)
    if not values:
        bad(name, "cannot be an empty array")
    keys = frozenset(map(unordered_key, values))
    if len(keys) < len(values):
        bad(name, "array cannot contain duplicate values.")
    return lambda value: unordered_key(value) in keys


def _several(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    schemas = array(name, argument)
    if not schemas:
        raise CommandFailure(2, f"$jsonSchema keyword '{name}' must be a non-empty array")
    each = [parse(document(name, schema)) for schema in schemas]
    if name == "allOf":
        return lambda value: all(holds(value) for holds in each)
    if name == "anyOf":
        return lambda value: any(holds(value) for holds in each)
    return lambda value: sum(holds(value) for holds in each) == 1


def _not(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    holds = parse(document(name, argument))
    return lambda value: not holds(value)


def _description(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    if not isinstance(argument, str):
        wrong_type(name, "of type string", argument)
    return lambda _: True


LOGICAL: Final[dict[str, Keyword]] = {
    "allOf": _several,
    "anyOf": _several,
    "bsonType": _type,
    "description": _description,
    "enum": _enum,
    "not": _not,
    "oneOf": _several,
    "title": _description,
    "type": _type,
}
