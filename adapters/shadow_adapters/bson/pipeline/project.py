"""``$project``, ``$addFields``, ``$set`` and ``$unset``: which fields a document has, and what is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.table import OPERATORS
from shadow_adapters.bson.match.element import truthy
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.pipeline.fields import ADD, EXCLUDE, INCLUDE, Fields
from shadow_adapters.bson.pipeline.flow import Batch, Context, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.unwind import field_path
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

Path = tuple[str, ...]
Entry = tuple[Path, bool | Expression]


def project(name: str, spec: Any, scope: Scope) -> Stage:
    """``$project``.

    Raises `CommandFailure`: 15969, 51272, 31252 to 31254 where inclusion and exclusion are mixed, 31249 and 31250 where
    paths collide, 51270, 31324, 31325.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(15969, "$project specification must be an object")
    if not spec:
        raise CommandFailure(
            51272, "Invalid $project :: caused by :: projection specification must have at least one field"
        )
    entries = list(_entries(spec, (), scope))
    fields = Fields(INCLUDE if _including(entries) else EXCLUDE)
    for path, what in entries:
        if path != ("_id",) or what is not (fields.mode == EXCLUDE):
            fields.add(path, None if isinstance(what, bool) else what)
    if fields.mode == INCLUDE and not any(path[0] == "_id" for path, _ in entries):
        fields.add(("_id",), None)
    return _stage(name, fields)


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


def _entries(spec: Mapping[str, Any], way: Path, scope: Scope) -> Iterator[Entry]:
    """Paths, with what becomes of them: kept or not, or an expression."""
    for name, value in spec.items():
        if name.endswith(".$") or ".$." in name:
            raise CommandFailure(31324, "Cannot use positional projection in aggregation projection")
        path = (*way, *field_path(name))
        inner = as_document(value)
        if inner is None:
            kept = isinstance(value, bool | int | float | Decimal128)
            yield path, truthy(value) if kept else compile_expression(value, scope.names)
        elif not inner:
            raise CommandFailure(51270, "An empty sub-projection is not a valid value. Found empty object at path")
        elif len(inner) == 1 and next(iter(inner)).startswith("$"):
            yield path, _computed(inner, scope)
        else:
            yield from _entries(inner, path, scope)


def _computed(spec: Mapping[str, Any], scope: Scope) -> Expression:
    name = next(iter(spec))
    try:
        return compile_expression(spec, scope.names)
    except CommandFailure as failure:
        if name in OPERATORS or name == "$elemMatch" or failure.unsupported:
            raise
        raise CommandFailure(31325, f"Invalid $project :: caused by :: Unknown expression {name}") from None


def _including(entries: list[Entry]) -> bool:
    """Whether it is an inclusion. That ``_id`` is kept or not decides only where nothing else does."""
    rest = [(path, what) for path, what in entries if path != ("_id",) or not isinstance(what, bool)]
    if not rest:
        return entries[0][1] is not False
    including = rest[0][1] is not False
    for path, what in rest:
        if (what is False) is including:
            code, mistake = _mixed(".".join(path), what)
            raise CommandFailure(code, f"Invalid $project :: caused by :: {mistake}")
    return including


def _mixed(path: str, what: bool | Expression) -> tuple[int, str]:
    if what is False:
        return 31254, f"Cannot do exclusion on field {path} in inclusion projection"
    if what is True:
        return 31253, f"Cannot do inclusion on field {path} in exclusion projection"
    return 31252, "Cannot use an expression in an exclusion projection"
