"""The keywords of arrays: ``items additionalItems minItems maxItems uniqueItems``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.match.schema.arguments import (
    Keyword,
    Parse,
    boolean,
    document,
    size,
    unordered_key,
    wrong_type,
)
from shadow_adapters.bson.paths import Predicate, as_document


def _items(name: str, argument: Any, _schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """A schema for every element, or one for each of the first ones."""
    if isinstance(argument, list | tuple):
        each = [parse(document(name, schema)) for schema in argument]
        return _of_array(lambda array: all(holds(element) for holds, element in zip(each, array, strict=False)))
    schema = as_document(argument)
    if schema is None:
        wrong_type(name, "an array or an object", argument)
    every = parse(schema)
    return _of_array(lambda array: all(map(every, array)))


def _additional_items(name: str, argument: Any, schema: Mapping[str, Any], parse: Parse) -> Predicate:
    """A schema for the elements behind those that ``items`` has one for each of; or whether there may be any."""
    if isinstance(argument, bool):
        holds: Predicate = lambda _: argument  # noqa: E731
    elif (inner := as_document(argument)) is not None:
        holds = parse(inner)
    else:
        wrong_type(name, "either an object or a boolean", argument)
    items = schema.get("items")
    if not isinstance(items, list | tuple):
        return lambda _: True
    first = len(items)
    return _of_array(lambda array: all(map(holds, array[first:])))


def _count(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    wanted = size(name, argument)
    if name == "minItems":
        return _of_array(lambda array: len(array) >= wanted)
    return _of_array(lambda array: len(array) <= wanted)


def _unique_items(name: str, argument: Any, _schema: Mapping[str, Any], _parse: Parse) -> Predicate:
    if not boolean(name, argument):
        return lambda _: True
    return _of_array(lambda array: len(set(map(unordered_key, array))) == len(array))


def _of_array(holds: Predicate) -> Predicate:
    return lambda value: not isinstance(value, list) or holds(value)


ARRAYS: Final[dict[str, Keyword]] = {
    "additionalItems": _additional_items,
    "items": _items,
    "maxItems": _count,
    "minItems": _count,
    "uniqueItems": _unique_items,
}
