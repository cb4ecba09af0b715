"""Projections of `find`: which fields of a document are returned.

A projection is a tree of fields. Inclusion keeps the fields named, in the document's order, and ``_id`` unless it is
excluded; exclusion keeps all others. A dotted path goes into every element of an array, however deep; inclusion then
leaves out what is no document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.match.element import truthy
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.failures import CommandFailure

Tree = dict[str, "Tree | None"]
"""Field names; None where the path ends."""

Projection = Callable[[dict[str, Any]], dict[str, Any]]


def compile_projection(spec: Mapping[str, Any] | None) -> Projection:
    """The function from a document to what is returned of it; the document itself for an empty projection.

    Raises `CommandFailure`: 31253 or 31254 where inclusion and exclusion are mixed, 31249 or 31250 where two paths
    collide, 51270 for an empty sub-projection, and with ``unsupported`` for operators, expressions and ``$``.
    """
    if not spec:
        return lambda document: document
    entries = list(_entries(spec, ""))
    fields = [(path, keep) for path, keep in entries if path != "_id"]
    id_kept = [keep for path, keep in entries if path == "_id"]
    including = _including(fields, id_kept)
    tree: Tree = {}
    for path, _ in fields:
        _add(tree, path)
    if including:
        if not id_kept or id_kept[0]:
            tree.setdefault("_id", None)
        return lambda document: _include(document, tree)
    if id_kept and not id_kept[0]:
        tree["_id"] = None
    return lambda document: _exclude(document, tree)


def _entries(spec: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, bool]]:
    for name, value in spec.items():
        path = prefix + name
        _check_path(path)
        if isinstance(value, Mapping):
            yield from _nested(value, path)
        elif value is None or not isinstance(value, bool | int | float | Decimal128):
            raise CommandFailure(
                2, f"projection of {path} by an expression is not served", unsupported="projection expression"
            )
        else:
            yield path, truthy(value)


def _nested(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, bool]]:
    if not value:
        raise CommandFailure(51270, "An empty sub-projection is not a valid value. Found empty object at path")
    operator = next((name for name in value if name.startswith("$")), None)
    if operator is not None:
        raise CommandFailure(2, f"projection operator {operator} is not served", unsupported=f"projection {operator}")
    yield from _entries(value, path + ".")


def _check_path(path: str) -> None:
    parts = path.split(".")
    if "" in parts:
        raise CommandFailure(40353 if path.endswith(".") else 15998, "FieldPath field names may not be empty strings.")
    if "$" in parts:
        raise CommandFailure(2, "positional projection is not served", unsupported="projection $")
    if any(part.startswith("$") for part in parts):
        raise CommandFailure(16410, "FieldPath field names may not start with '$'.")


def _including(fields: list[tuple[str, bool]], id_kept: list[bool]) -> bool:
    """Whether it is an inclusion; ``_id`` decides only where it is alone."""
    if not fields:
        return id_kept[0]
    including = fields[0][1]
    for path, keep in fields:
        if keep and not including:
            raise CommandFailure(31253, f"Cannot do inclusion on field {path} in exclusion projection")
        if including and not keep:
            raise CommandFailure(31254, f"Cannot do exclusion on field {path} in inclusion projection")
    return including


def _add(tree: Tree, path: str) -> None:
    *way, last = path.split(".")
    for position, part in enumerate(way):
        inner = tree.setdefault(part, {})
        if inner is None:
            rest = path.split(".", position + 1)[-1]
            raise CommandFailure(31249, f"Path collision at {path} remaining portion {rest}")
        tree = inner
    if last in tree:
        raise CommandFailure(31250, f"Path collision at {path}")
    tree[last] = None


def _include(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in document.items():
        if name in tree:
            inner = tree[name]
            result = value if inner is None else _include_value(value, inner)
            if result is not MISSING:
                kept[name] = result
    return kept


def _include_value(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        elements = [_include_value(element, tree) for element in value]
        return [element for element in elements if element is not MISSING]
    document = as_document(value)
    return MISSING if document is None else _include(document, tree)


def _exclude(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in document.items():
        inner = tree.get(name, MISSING)
        if inner is MISSING:
            kept[name] = value
        elif inner is not None:
            kept[name] = _exclude_value(value, inner)
    return kept


def _exclude_value(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_exclude_value(element, tree) for element in value]
    document = as_document(value)
    return value if document is None else _exclude(document, tree)
