"""``$push`` with ``$each $position $slice $sort``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.keys import invert
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import Effect, Occasion, dotted
from shadow_adapters.failures import CommandFailure

SortKey = Callable[[Any], bytes]

_CLAUSES = ("$each", "$position", "$slice", "$sort")


def push(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$push``: values added to an array, which is then sorted and cut; the array is made where it is missing."""
    clauses = argument if isinstance(argument, Mapping) and "$each" in argument else {"$each": [argument]}
    _check_clauses(clauses)
    position = _whole(clauses, "$position")
    keep = _whole(clauses, "$slice")
    key = _sort_key(clauses["$sort"], collation.order) if "$sort" in clauses else None

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is not MISSING and not isinstance(current, list):
            raise CommandFailure(
                2, f"The field '{dotted(path)}' must be an array but is of type {type_name(current)} in the document"
            )
        array = [] if current is MISSING else list(current)
        at = len(array) if position is None else position
        array[at:at] = clauses["$each"]
        if key is not None:
            array.sort(key=key)
        editor.put(path, array if keep is None else _cut(array, keep))

    return effect


def _cut(array: list[Any], keep: int) -> list[Any]:
    return array[:keep] if keep >= 0 else array[keep:]


def _check_clauses(clauses: Mapping[str, Any]) -> None:
    for name in clauses:
        if name not in _CLAUSES:
            raise CommandFailure(2, f"Unrecognized clause in $push: {name}")
    if not isinstance(clauses["$each"], list | tuple):
        raise CommandFailure(
            2, f"The argument to $each in $push must be an array but it was of type: {type_name(clauses['$each'])}"
        )


def _whole(clauses: Mapping[str, Any], name: str) -> int | None:
    if name not in clauses:
        return None
    value = clauses[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value % 1:
        raise CommandFailure(2, f"The value for {name} must be an integer value but was given type: {type_name(value)}")
    return int(value)


def _sort_key(spec: Any, order: SortKey) -> SortKey:
    if isinstance(spec, Mapping):
        return _by_fields({tuple(name.split(".")): _descends(direction) for name, direction in spec.items()}, order)
    return _directed(order, _descends(spec))


def _directed(key: SortKey, descending: bool) -> SortKey:
    return (lambda value: invert(key(value))) if descending else key


def _descends(direction: Any) -> bool:
    if isinstance(direction, bool) or direction not in (1, -1):
        raise CommandFailure(2, "The $sort element value must be either 1 or -1")
    return bool(direction == -1)


def _by_fields(fields: Mapping[Path, bool], order: SortKey) -> SortKey:
    if not fields:
        raise CommandFailure(2, "The $sort pattern is empty when it should be a set of fields.")

    def key(element: Any) -> bytes:
        keys = [(order(_field(element, path)), down) for path, down in fields.items()]
        return b"".join([invert(key) if down else key for key, down in keys])

    return key


def _field(element: Any, path: Path) -> Any:
    for part in path:
        document = as_document(element)
        element = None if document is None else document.get(part)
    return element
