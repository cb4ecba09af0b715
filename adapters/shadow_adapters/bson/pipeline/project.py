"""``$project``, ``$addFields``, ``$set`` and ``$unset``: which fields a document has, and what is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.pipeline.flow import Batch, Context, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection import compile_fields
from shadow_adapters.bson.projection.fields import ADD, EXCLUDE, Fields
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure


def project(name: str, spec: Any, scope: Scope) -> Stage:
    """``$project``.

    Raises `CommandFailure`: 15969, 51272, and what `compile_fields` raises.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(15969, "$project specification must be an object")
    if not spec:
        raise CommandFailure(
            51272, "Invalid $project :: caused by :: projection specification must have at least one field"
        )
    try:
        return _stage(name, compile_fields(spec, scope.names))
    except CommandFailure as failure:
        message = f"Invalid $project :: caused by :: {failure.message}"
        raise CommandFailure(failure.code, message, unsupported=failure.unsupported) from None


def add_fields(name: str, spec: Any, scope: Scope) -> Stage:
    """``$addFields`` and ``$set``. Raises `CommandFailure`: 40272, 40176 where paths collide, 40181, 40183."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(40272, f"{name} specification stage must be an object, got {type_name(spec)}")
    fields = Fields(ADD)
    for path, expression in _added(spec, (), scope):
        try:
            fields.add(path, expression)
        except CommandFailure as failure:
            raise CommandFailure(40176, f"Invalid {name} :: caused by :: {failure.message}") from None
    return _stage(name, fields)


def _added(spec: Mapping[str, Any], way: Path, scope: Scope) -> Iterator[tuple[Path, Expression]]:
    """Paths with what is computed for them. A document that is not empty is a level of paths, if no expression."""
    for name, value in spec.items():
        if way and "." in name:
            raise CommandFailure(40183, f"cannot use dotted field name '{name}' in a sub object")
        path = (*way, *field_path(name))
        inner = as_document(value)
        operator = inner and next((each for each in inner if each.startswith("$")), None)
        if inner and operator and len(inner) > 1:
            raise CommandFailure(40181, f"an expression must have exactly one field, its name {operator}")
        if inner and not operator:
            yield from _added(inner, path, scope)
        else:
            yield path, compile_expression(value, scope.names)


def unset(name: str, spec: Any, scope: Scope) -> Stage:
    """``$unset``: a field's path, or several. Raises `CommandFailure` 31002, 31119, 31120."""
    paths = [spec] if isinstance(spec, str) else spec
    if not isinstance(paths, list | tuple):
        raise CommandFailure(31002, "$unset specification must be a string or an array")
    if not paths:
        raise CommandFailure(31119, "$unset specification must be a string or an array with at least one field")
    if not all(isinstance(path, str) for path in paths):
        raise CommandFailure(31120, "$unset specification must be a string or an array containing only string values")
    fields = Fields(EXCLUDE)
    for path in paths:
        fields.add(field_path(path), None)
    return _stage(name, fields)


def _stage(name: str, fields: Fields) -> Stage:
    return Stage(name, lambda context: _start(fields, context))


def _start(fields: Fields, context: Context) -> Flow:
    def change(batch: Batch) -> Batch:
        return [fields.apply(document, context.variables) for document in batch]

    return Each(change)
