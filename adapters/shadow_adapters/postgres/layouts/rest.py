"""Splitting a document into columns and a rest, and joining them again, identical to the byte.

The mapping is a tree of field names whose leaves are columns. The rest is a JSON object with an entry for every field
that columns do not give back by themselves:

    name: value               a field without a column, or what its column forgets (extended JSON)
    name: {"$fields": {...}}  the rest of an inner document that has columns of its own
    "$order": [name, ...]     their order, where it is not: mapped ones as mapped, then the others as jsonb orders them

An entry beside a column counts as long as the column holds what the entry's value puts there: when SQL changes the
column, the column wins. A column that is NULL means that the field is missing, unless the rest knows better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shadow_adapters.postgres.layouts.columns import Codec
from shadow_adapters.postgres.layouts.extended import from_extended, to_extended
from shadow_adapters.postgres.layouts.jsonb import name_order

Tree = dict[str, "Tree | int"]
"""Field names; a leaf is the column's position."""

_ORDER = "$order"
_FIELDS = "$fields"
_MISSING = object()


def tree_of(paths: Sequence[str]) -> Tree:
    """The tree of field paths in column order. Raises `ValueError` where one path lies inside another."""
    tree: Tree = {}
    for position, path in enumerate(paths):
        *outer, last = path.split(".")
        node = tree
        for name in outer:
            inner = node.setdefault(name, {})
            if isinstance(inner, int):
                raise ValueError(f"the mapping has a column for {path!r} and for a path that it lies in")
            node = inner
        if last in node:
            raise ValueError(f"the mapping has a column for {path!r} and for a path that it lies in")
        node[last] = position
    return tree


def escaped(name: str) -> str:
    """A field's name as the name of its entry."""
    return "$" + name if name.startswith("$") else name


def _unescaped(name: str) -> str:
    return name.removeprefix("$")


def split(document: Mapping[str, Any], tree: Tree, codecs: Sequence[Codec]) -> tuple[list[Any], dict[str, Any]]:
    """The columns' values and the rest, empty where columns say everything."""
    values: list[Any] = [None] * len(codecs)
    return values, _split(document, tree, codecs, values)


def _split(document: Mapping[str, Any], tree: Tree, codecs: Sequence[Codec], values: list[Any]) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for name, value in document.items():
        node = tree.get(name)
        if isinstance(node, int):
            values[node], exact = codecs[node].put(value)
            if exact:
                continue
        elif node is not None and type(value) is dict:
            inner = _split(value, node, codecs, values)
            if inner or not _any_held(node, values):
                rest[escaped(name)] = {_FIELDS: inner}
            continue
        rest[escaped(name)] = to_extended(value)
    names = list(document)
    if names != _default_order(tree, document, rest):
        rest[_ORDER] = names
    return rest


def _default_order(tree: Tree, present: Mapping[str, Any], rest: Mapping[str, Any]) -> list[str]:
    mapped = [name for name in tree if name in present]
    others = [name for name in rest if name != _ORDER and _unescaped(name) not in tree]
    return mapped + [_unescaped(name) for name in sorted(others, key=name_order)]


def _any_held(tree: Tree, values: Sequence[Any]) -> bool:
    return any(values[node] is not None if isinstance(node, int) else _any_held(node, values) for node in tree.values())


def join(values: Sequence[Any], rest: Mapping[str, Any], tree: Tree, codecs: Sequence[Codec]) -> dict[str, Any]:
    """The document of columns and rest."""
    found: dict[str, Any] = {}
    for name, node in tree.items():
        entry = rest.get(escaped(name), _MISSING) if rest else _MISSING
        if isinstance(node, int):
            value = _joined_leaf(values[node], entry, codecs[node])
        else:
            value = _joined_inner(values, entry, node, codecs)
        if value is not _MISSING:
            found[name] = value
    if rest:
        others = [name for name in rest if name != _ORDER and _unescaped(name) not in tree]
        found |= {_unescaped(name): from_extended(rest[name]) for name in sorted(others, key=name_order)}
        if _ORDER in rest:
            found = {name: found[name] for name in (*rest[_ORDER], *found) if name in found}
    return found


def _joined_leaf(held: Any, entry: Any, codec: Codec) -> Any:
    if entry is not _MISSING:
        value = from_extended(entry)
        put, _ = codec.put(value)
        if put is None or held is None:
            if put is held:
                return value
        elif codec.same(put, held):
            return value
    return _MISSING if held is None else codec.get(held)


def _joined_inner(values: Sequence[Any], entry: Any, tree: Tree, codecs: Sequence[Codec]) -> Any:
    inner = entry.get(_FIELDS) if isinstance(entry, dict) else None
    if inner is not None:
        return join(values, inner, tree, codecs)
    if _any_held(tree, values):
        return join(values, {}, tree, codecs)
    return _MISSING if entry is _MISSING else from_extended(entry)
