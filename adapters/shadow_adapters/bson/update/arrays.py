"""``$addToSet $pull $pullAll $pop``: elements of an array added or taken out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.match import compile_condition, compile_filter, is_condition
from shadow_adapters.bson.match.regex import as_regex
from shadow_adapters.bson.paths import MISSING, Predicate, as_document
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import Effect, Occasion, dotted
from shadow_adapters.failures import CommandFailure

_FILTERS = ("$and", "$or", "$nor")


def add_to_set(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$addToSet``: the values that no element is equal to yet; the array is made where it is missing."""
    values = _each(argument)

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is not MISSING and not isinstance(current, list):
            raise CommandFailure(
                2,
                f"Cannot apply $addToSet to non-array field. Field named '{path[-1]}' "
                f"has non-array type {type_name(current)}",
            )
        array = [] if current is MISSING else list(current)
        seen = set(map(collation.equal, array))
        for value in values:
            key = collation.equal(value)
            if key not in seen:
                seen.add(key)
                array.append(value)
        editor.put(path, array)

    return effect


def _each(argument: Any) -> list[Any]:
    if not isinstance(argument, Mapping) or next(iter(argument), None) != "$each":
        return [argument]
    if len(argument) > 1:
        raise CommandFailure(2, "Found unexpected fields after $each in $addToSet")
    values = argument["$each"]
    if not isinstance(values, list | tuple):
        raise CommandFailure(
            14, f"The argument to $each in $addToSet must be an array but it was of type {type_name(values)}"
        )
    return list(values)


def pull(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$pull``: takes out the elements that a condition, a filter of documents, a regex or a value matches."""
    return _taking_out("$pull", _pulled(argument, collation))


def _pulled(argument: Any, collation: Collation) -> Predicate:
    if as_regex(argument) is not None:
        return compile_condition({"$in": [argument]})
    if not isinstance(argument, Mapping):
        key = collation.equal(argument)
        return lambda element: collation.equal(element) == key
    if is_condition(argument) and next(iter(argument)) not in _FILTERS:
        return compile_condition(argument, collation)
    matches = compile_filter(argument, collation=collation).matches

    def matched(element: Any) -> bool:
        document = as_document(element)
        return document is not None and matches(document)

    return matched


def pull_all(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$pullAll``: takes out the elements equal to one of the values."""
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, f"$pullAll requires an array argument but was given a {type_name(argument)}")
    keys = frozenset(map(collation.equal, argument))
    return _taking_out("$pullAll", lambda element: collation.equal(element) in keys)


def _taking_out(name: str, out: Callable[[Any], bool]) -> Effect:
    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is MISSING:
            return
        if not isinstance(current, list):
            raise CommandFailure(2, f"Cannot apply {name} to a non-array value")
        editor.put(path, [element for element in current if not out(element)])

    return effect


def pop(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$pop``: takes out the last element (1) or the first (-1)."""
    if isinstance(argument, bool) or argument not in (1, -1):
        raise CommandFailure(9, f"$pop expects 1 or -1 for '{dotted(path)}'")
    last = argument == 1

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is MISSING:
            return
        if not isinstance(current, list):
            raise CommandFailure(
                14, f"Path '{dotted(path)}' contains an element of non-array type '{type_name(current)}'"
            )
        editor.put(path, current[:-1] if last else current[1:])

    return effect
