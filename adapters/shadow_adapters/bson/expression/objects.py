"""Operators on documents: merging them, fields by computed names, documents as arrays of pairs and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters, fixed, variadic
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.node import Expression, applied, literal
from shadow_adapters.bson.expression.values import array, is_text, kind_name, nullish
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.failures import CommandFailure

_GET: Final = Parameters({"field": 3041702}, ("input",), unknown=3041701, no_object=3041700)
_SET: Final = Parameters({"field": 4161102, "input": 4161103, "value": 4161109}, (), unknown=4161101, no_object=4161100)
_UNSET: Final = Parameters({"field": 4161102, "input": 4161103}, (), unknown=4161101, no_object=4161100)


def _merge(*values: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        if nullish(value):
            continue
        document = as_document(value)
        if document is None:
            raise CommandFailure(
                40400, f"$mergeObjects requires object inputs, but input is of type {kind_name(value)}"
            )
        merged.update(document)
    return merged


def _get_field(name: str, argument: Any, compiler: Compiler) -> Expression:
    named = isinstance(argument, Mapping) and ("field" in argument or not next(iter(argument), "$").startswith("$"))
    fields = _GET.read(name, argument) if named else {"field": argument}
    field = compiler.compile(fields["field"])
    if field.constant:
        _name(name, field.evaluate({}), 5654602)
    source = compiler.compile(fields["input"]) if "input" in fields else compiler.compile("$$CURRENT")

    def function(wanted: Any, value: Any) -> Any:
        _name(name, wanted, 3041704)
        if nullish(value):
            return value
        document = as_document(value)
        return MISSING if document is None else document.get(wanted, MISSING)

    return applied(function, [field, source])


def _name(operator: str, value: Any, code: int) -> str:
    if not is_text(value):
        raise CommandFailure(
            code, f"{operator} requires 'field' to evaluate to type String, but got {kind_name(value)}"
        )
    return str(value)


def _set_field(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = (_UNSET if name == "$unsetField" else _SET).read(name, argument)
    field = compiler.compile(fields["field"])
    if not field.constant:
        raise CommandFailure(4161106, f"{name} requires 'field' to evaluate to a constant, but got a non-constant")
    target = _name(name, field.evaluate({}), 4161107)
    value = compiler.compile(fields["value"]) if "value" in fields else literal(MISSING)

    def function(source: Any, new: Any) -> Any:
        if nullish(source):
            return None
        document = as_document(source)
        if document is None:
            raise CommandFailure(4161105, f"{name} requires 'input' to evaluate to type Object")
        if new is MISSING:
            return {key: kept for key, kept in document.items() if key != target}
        return {**document, target: new}

    return applied(function, [compiler.compile(fields["input"]), value])


def _to_array(value: Any) -> Any:
    if nullish(value):
        return None
    document = as_document(value)
    if document is None:
        raise CommandFailure(40390, f"$objectToArray requires a document input, found: {kind_name(value)}")
    return [{"k": name, "v": field} for name, field in document.items()]


def _from_array(values: Any) -> Any:
    if nullish(values):
        return None
    pairs = array(values, 40386, "$arrayToObject requires an array input")
    if not pairs:
        return {}
    if isinstance(pairs[0], list):
        return dict(_pair_of_array(pair) for pair in pairs)
    if as_document(pairs[0]) is None:
        raise CommandFailure(40398, f"Unrecognised input type format for $arrayToObject: {kind_name(pairs[0])}")
    return dict(_pair_of_document(pair) for pair in pairs)


def _pair_of_array(pair: Any) -> tuple[str, Any]:
    if not isinstance(pair, list):
        raise CommandFailure(40391, "$arrayToObject requires a consistent input format")
    if len(pair) != 2:
        raise CommandFailure(40397, f"$arrayToObject requires an array of size 2 arrays, found: {len(pair)}")
    return _key(pair[0], 40395), pair[1]


def _pair_of_document(pair: Any) -> tuple[str, Any]:
    document = as_document(pair)
    if document is None:
        raise CommandFailure(40396, "$arrayToObject requires a consistent input format")
    if len(document) != 2:
        raise CommandFailure(40392, "$arrayToObject requires an object keys of 'k' and 'v'")
    if "k" not in document or "v" not in document:
        raise CommandFailure(40393, "$arrayToObject requires an object with keys 'k' and 'v'")
    return _key(document["k"], 40394), document["v"]


def _key(value: Any, code: int) -> str:
    if not is_text(value):
        raise CommandFailure(code, f"$arrayToObject requires keys of type string. Found: {kind_name(value)}")
    if "\0" in value:
        raise CommandFailure(4940400, "Key field cannot contain an embedded null byte")
    return str(value)


OBJECTS: Final[Operators] = {
    "$mergeObjects": variadic(_merge),
    "$getField": _get_field,
    "$setField": _set_field,
    "$unsetField": _set_field,
    "$objectToArray": fixed(_to_array, 1),
    "$arrayToObject": fixed(_from_array, 1),
}
