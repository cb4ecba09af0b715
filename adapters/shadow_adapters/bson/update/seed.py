"""What an upsert's filter says of the document to be made: its equalities, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shadow_adapters.bson.match import is_condition
from shadow_adapters.bson.match.regex import as_regex
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import dotted
from shadow_adapters.failures import CommandFailure


def upsert_seed(filter: Mapping[str, Any]) -> dict[str, Any]:
    """The document that an upsert starts from, ``_id`` first, other fields in the order of their paths.

    Counted are plain values, ``$eq``, ``$in`` and ``$all`` of one value, inside ``$and`` and an ``$or`` of one branch
    too. Raises `CommandFailure` 54 where the filter says two things of one field.
    """
    found: dict[Path, Any] = {}
    for path, value in _equalities(filter):
        _check_once(path, found)
        found[path] = value
    editor = Editor({})
    for path in sorted(found, key=lambda path: (path[0] != "_id", dotted(path))):
        editor.put(path, found[path])
    return editor.document


def _equalities(filter: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for name, argument in filter.items():
        if name == "$and" or (name == "$or" and len(argument) == 1):
            for branch in argument:
                yield from _equalities(branch)
        elif not name.startswith("$"):
            for value in _values(argument):
                yield tuple(name.split(".")), value


def _values(argument: Any) -> Iterator[Any]:
    if not is_condition(argument):
        if as_regex(argument) is None:
            yield argument
        return
    for name, operand in argument.items():
        if name == "$eq":
            yield operand
        elif name == "$all" or (name == "$in" and len(operand) == 1):
            yield from (value for value in operand if as_regex(value) is None and not is_condition(value))


def _check_once(path: Path, found: Mapping[Path, Any]) -> None:
    if path in found:
        raise CommandFailure(54, f"cannot infer query fields to set, path '{dotted(path)}' is matched twice")
    for other in found:
        shorter, longer = sorted((path, other), key=len)
        if longer[: len(shorter)] == shorter:
            raise CommandFailure(
                54,
                f"cannot infer query fields to set, both paths '{dotted(shorter)}' and '{dotted(longer)}' are matched",
            )
