"""Editing a document along dotted paths without touching the original: what is changed is copied first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from shadow_adapters.bson.paths import MISSING, as_document, is_index
from shadow_adapters.failures import CommandFailure

Path = tuple[str, ...]
Container = dict[str, Any] | list[Any]

MAX_PADDING: Final = 1_500_000
"""How many nulls MongoDB fills in before an index that is set beyond an array's end."""


class Editor:
    """A copy of a document, made as it is edited.

    Attributes:
        document: the result so far; shares what was not changed with the original.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: dict[str, Any] = dict(document)
        self._own: dict[int, Container] = {id(self.document): self.document}  # holding them keeps their ids unique

    def find(self, path: Path) -> Any:
        """The value at the path, or `MISSING`; an array is entered by index only."""
        value: Any = self.document
        for part in path:
            value = child(value, part)
            if value is MISSING:
                return MISSING
        return value

    def put(self, path: Path, value: Any) -> None:
        """Set the value at the path, making documents on the way.

        Raises `CommandFailure` 28 where the way leads through something that is neither document nor array element,
        and 2 where an array would be filled up too far.
        """
        container: Container = self.document
        for position, part in enumerate(path[:-1]):
            container = self._enter(container, part, path, position)
        _set(container, path[-1], value, path, len(path) - 1)

    def remove(self, path: Path) -> None:
        """Take the value at the path away; an element of an array becomes null. Nothing happens where there is none."""
        if self.find(path) is MISSING:
            return
        container: Container = self.document
        for position, part in enumerate(path[:-1]):
            container = self._enter(container, part, path, position)
        if isinstance(container, list):
            container[int(path[-1])] = None
        else:
            del container[path[-1]]

    def through_array(self, path: Path) -> bool:
        """Whether the path leads to an element of an array, or into one."""
        return any(isinstance(self.find(path[:length]), list) for length in range(1, len(path)))

    def check_traversable(self, path: Path) -> None:
        """Raises `CommandFailure` 28 where the path leads through a value that has no such parts, as a scalar."""
        for position, part in enumerate(path[1:], 1):
            value = self.find(path[:position])
            if value is MISSING:
                return
            if as_document(value) is None and not (isinstance(value, list) and is_index(part)):
                where = ".".join(path[:position])
                raise CommandFailure(
                    28, f"cannot use the part ({part} of {'.'.join(path)}) to traverse the element '{where}'"
                )

    def _enter(self, container: Container, part: str, path: Path, position: int) -> Container:
        """The container below, made or copied so that it can be changed."""
        value = child(container, part)
        if value is not MISSING and id(value) in self._own:
            return self._own[id(value)]
        inner: Container
        if value is MISSING:
            inner = {}
        elif isinstance(value, list):
            inner = list(value)
        else:
            document = as_document(value)
            if document is None:
                _not_viable(path, position + 1)
            inner = dict(document)
        _set(container, part, inner, path, position)
        self._own[id(inner)] = inner
        return inner


def child(container: Any, part: str) -> Any:
    """The value of a field, or of an element by its index; `MISSING` where there is none."""
    if isinstance(container, list):
        return container[int(part)] if is_index(part) and int(part) < len(container) else MISSING
    document = as_document(container)
    return MISSING if document is None else document.get(part, MISSING)


def _set(container: Container, part: str, value: Any, path: Path, position: int) -> None:
    if isinstance(container, dict):
        container[part] = value
        return
    if not is_index(part):
        _not_viable(path, position)
    index = int(part)
    padding = index - len(container)
    if padding > MAX_PADDING:
        raise CommandFailure(2, f"can't backfill more than {MAX_PADDING} elements")
    if padding >= 0:
        container.extend([None] * padding)
        container.append(value)
    else:
        container[index] = value


def _not_viable(path: Path, position: int) -> NoReturn:
    where = ".".join(path[:position])
    raise CommandFailure(28, f"Cannot create field '{path[position]}' in element '{where}'")
