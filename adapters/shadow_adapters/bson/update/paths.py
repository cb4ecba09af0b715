"""The paths of an update: which are allowed, which conflict, and in which order they are applied."""

from __future__ import annotations

from collections.abc import Sequence

from shadow_adapters.bson.limits import MAX_DEPTH
from shadow_adapters.bson.paths import is_index
from shadow_adapters.bson.update.editor import Path
from shadow_adapters.bson.update.effect import dotted
from shadow_adapters.bson.update.positional import is_positional, of_elements
from shadow_adapters.failures import CommandFailure


def parse_path(text: str) -> Path:
    """The parts of an update's path.

    Raises `CommandFailure` 56 for an empty name, 52 for one with a dollar that is no positional operator, 15 for a path
    too deep.
    """
    if not text:
        raise CommandFailure(56, "An empty update path is not valid.")
    parts = tuple(text.split("."))
    if "" in parts:
        raise CommandFailure(56, f"The update path '{text}' contains an empty field name, which is not allowed.")
    if len(parts) > MAX_DEPTH:
        raise CommandFailure(15, f"Update path exceeds maximum nested object depth of {MAX_DEPTH}")
    for part in parts:
        if part.startswith("$") and not is_positional(part):
            raise CommandFailure(52, f"The dollar ($) prefixed field '{part}' in '{text}' is not valid for storage.")
    return parts


def check_conflicts(paths: Sequence[Path]) -> None:
    """Raises `CommandFailure` 40 where two paths are the same, one leads into the other, or one goes into the elements
    of what another one takes for a document."""
    seen: set[Path] = set()
    ways: dict[Path, bool] = {}
    for path in paths:
        if path in seen or path in ways:
            _conflict(path, path)
        for length in range(1, len(path)):
            if path[:length] in seen:
                _conflict(path, path[:length])
            if ways.setdefault(path[:length], of_elements(path[length])) != of_elements(path[length]):
                _conflict(path, path[:length])
        seen.add(path)


def _conflict(path: Path, at: Path) -> None:
    raise CommandFailure(40, f"Updating the path '{dotted(path)}' would create a conflict at '{dotted(at)}'")


def application_order(path: Path) -> tuple[tuple[str, int, str], ...]:
    """Sorts paths as MongoDB applies them, whatever the operators: by name, indexes by number."""
    return tuple([("0", int(part), "") if is_index(part) else (part, 0, part) for part in path])
