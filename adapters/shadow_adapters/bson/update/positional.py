"""``$``, ``$[]`` and ``$[identifier]`` in the paths of an update, and the paths that they stand for in one document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.paths import MISSING, Predicate
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.editor import Path, child
from shadow_adapters.bson.update.effect import dotted
from shadow_adapters.failures import CommandFailure

Filters = Mapping[str, Predicate]
"""What an element must satisfy, by identifier; the empty one stands for ``$[]``, which every element satisfies."""

_IDENTIFIER: Final = re.compile(r"[a-z][a-zA-Z0-9]*")
_BRANCHES: Final = ("$and", "$or", "$nor")


def is_positional(part: str) -> bool:
    """Whether a part of a path is a positional operator."""
    return part == "$" or of_elements(part)


def of_elements(part: str) -> bool:
    """Whether a part is ``$[]`` or ``$[identifier]``."""
    return part.startswith("$[") and part.endswith("]")


def is_dynamic(path: Path) -> bool:
    """Whether only a document tells where the path leads."""
    return any("$" in part and is_positional(part) for part in path)


def compile_array_filters(filters: Any, collation: Collation) -> dict[str, Predicate]:
    """The predicates of ``arrayFilters`` by identifier.

    Raises `CommandFailure`: 14 for what is no array of documents, 9 where a filter names no element, several, or one
    that another filter names, 2 for an identifier that is none, and what the filters themselves raise.
    """
    if not isinstance(filters, list | tuple) or not all(isinstance(each, Mapping) for each in filters):
        raise CommandFailure(14, "BSON field 'arrayFilters' must be an array of objects")
    compiled: dict[str, Predicate] = {}
    for each in filters:
        name = _identifier(each)
        if name in compiled:
            raise CommandFailure(9, f"Found multiple array filters with the same top-level field name {name}")
        compiled[name] = _on_element(name, each, collation)
    return compiled


def _identifier(filter: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(_top_level_names(filter)))
    where = "Error parsing array filter :: caused by :: "
    if not names:
        raise CommandFailure(9, "Cannot use an expression without a top-level field name in arrayFilters")
    if len(names) > 1:
        raise CommandFailure(9, f"{where}Expected a single top-level field name, found '{names[0]}' and '{names[1]}'")
    if not _IDENTIFIER.fullmatch(names[0]):
        raise CommandFailure(
            2,
            f"{where}The top-level field name must be an alphanumeric string beginning with a lowercase letter, "
            f"found '{names[0]}'",
        )
    return names[0]


def _top_level_names(filter: Mapping[str, Any]) -> Iterator[str]:
    for name, argument in filter.items():
        if name in _BRANCHES and isinstance(argument, list | tuple):
            for branch in argument:
                yield from _top_level_names(branch) if isinstance(branch, Mapping) else ()
        elif not name.startswith("$"):
            yield name.partition(".")[0]


def _on_element(name: str, filter: Mapping[str, Any], collation: Collation) -> Predicate:
    matches = compile_filter(filter, collation=collation).matches
    return lambda element: matches({name: element})


def check_positional(path: Path, filters: Filters) -> frozenset[str]:
    """The identifiers that a path uses. Raises `CommandFailure` 2 for an operator that cannot be where it is."""
    if is_positional(path[0]):
        what = "positional (i.e. '$')" if path[0] == "$" else "array filter identifier (i.e. '$[<id>]')"
        raise CommandFailure(2, f"Cannot have {what} element in the first position in path '{dotted(path)}'")
    if path.count("$") > 1:
        raise CommandFailure(2, f"Too many positional (i.e. '$') elements found in path '{dotted(path)}'")
    used = {part[2:-1] for part in path if of_elements(part)} - {""}
    for name in used:
        if name not in filters:
            raise CommandFailure(2, f"No array filter found for identifier '{name}' in path '{dotted(path)}'")
    return frozenset(used)


def check_used(filters: Filters, used: frozenset[str]) -> None:
    """Raises `CommandFailure` 9 for an array filter that no path uses."""
    for name in filters:
        if name not in used:
            raise CommandFailure(9, f"The array filter for identifier '{name}' was not used in the update")


def expanded(path: Path, document: Any, filters: Filters, position: int | None, taken: Path = ()) -> Iterator[Path]:
    """The paths that a path stands for in a document.

    Args:
        position: what ``$`` stands for: the index of the element by which the document matched.
        taken: the way to ``document``, where it is a part of the whole one.

    Raises `CommandFailure` 2 where ``$`` stands for nothing, or where there is no array.
    """
    value = document
    for number, part in enumerate(path):
        if of_elements(part):
            for index in _elements(value, filters.get(part[2:-1]), taken):
                yield from expanded(path[number + 1 :], value[index], filters, position, (*taken, str(index)))
            return
        if part == "$":
            if position is None:
                raise CommandFailure(2, "The positional operator did not find the match needed from the query.")
            part = str(position)
        taken = (*taken, part)
        value = child(value, part)
    yield taken


def _elements(array: Any, holds: Predicate | None, path: Path) -> Sequence[int]:
    if array is MISSING:
        raise CommandFailure(
            2, f"The path '{dotted(path)}' must exist in the document in order to apply array updates."
        )
    if not isinstance(array, list):
        raise CommandFailure(
            2, f"Cannot apply array updates to non-array element {path[-1]} of type {type_name(array)}"
        )
    return [index for index, element in enumerate(array) if holds is None or holds(element)]
