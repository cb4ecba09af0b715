"""The keywords of documents: which fields there are, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shadow_adapters.bson.match.schema.arguments import Keyword, Parse, document, names, size, wrong_type
from shadow_adapters.bson.paths import Predicate, as_document
from shadow_adapters.bson.pcre import compile_search

_Fields = Callable[[Mapping[str, Any]], bool]


def _properties(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """Schemas by the names of the fields, where there are such fields."""
    each = {field: parse(document(field, schema)) for field, schema in document(name, argument).items()}
    return _of_document(lambda fields: all(holds(fields[field]) for field, holds in each.items() if field in fields))


def _required(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    wanted = names(name, argument)
    return _of_document(lambda fields: all(field in fields for field in wanted))


def _pattern_properties(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """Schemas by patterns that are found in the names of the fields."""
    each = [
        (compile_search(pattern, ""), parse(document(name, schema)))
        for pattern, schema in document(name, argument).items()
    ]

    def fits(fields: Mapping[str, Any]) -> bool:
        return all(holds(value) for field, value in fields.items() for found, holds in each if found(field))

    return _of_document(fits)


def _additional_properties(name: str, argument: Any, schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """A schema for the fields that no other keyword names, or whether there may be any."""
    if isinstance(argument, bool):
        holds: Predicate = lambda _: argument  # noqa: E731
    elif (inner := as_document(argument)) is not None:
        holds = parse(inner)
    else:
        wrong_type(name, "an object or a boolean", argument)
    known = document("properties", schema.get("properties", {}))
    patterns = [
        compile_search(pattern, "") for pattern in document("patternProperties", schema.get("patternProperties", {}))
    ]

    def fits(fields: Mapping[str, Any]) -> bool:
        others = (field for field in fields if field not in known and not any(found(field) for found in patterns))
        return all(holds(fields[field]) for field in others)

    return _of_document(fits)


def _count(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    wanted = size(name, argument)
    if name == "minProperties":
        return _of_document(lambda fields: len(fields) >= wanted)
    return _of_document(lambda fields: len(fields) <= wanted)


def _dependencies(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """What the document must be, or which fields it must have, where it has a field."""
    each = {field: _dependency(field, wanted, parse) for field, wanted in document(name, argument).items()}
    return _of_document(lambda fields: all(holds(fields) for field, holds in each.items() if field in fields))


def _dependency(field: str, wanted: Any, parse: Parse) -> Predicate:
    schema = as_document(wanted)
    if schema is not None:
        return parse(schema)
    others = names(f"dependencies' {field}", wanted)
    return lambda fields: all(other in fields for other in others)


def _of_document(holds: _Fields) -> Predicate:
    def fits(value: Any) -> bool:
        fields = as_document(value)
        return fields is None or holds(fields)

    return fits


OBJECTS: Final[dict[str, Keyword]] = {
    "additionalProperties": _additional_properties,
    "dependencies": _dependencies,
    "maxProperties": _count,
    "minProperties": _count,
    "patternProperties": _pattern_properties,
    "properties": _properties,
    "required": _required,
}
