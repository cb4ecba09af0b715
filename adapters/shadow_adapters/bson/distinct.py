"""The distinct values at a path, as ``distinct`` gathers them (MongoDB's ``extractAllElementsAlongPath``).

Not as a filter walks a path: behind an array a number is an index and never a name, every array at the end is spread
into its elements, one that was reached by an index too, and a document without the field gives no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.paths import as_document

_DIGITS: Final = re.compile(r"[0-9]+\Z")


class Distinct:
    """Gathers the values at ``path``. Equal ones (1, 1.0) are one value, which looks as the first that was met.

    ``collation``: how texts compare.
    """

    def __init__(self, path: str, collation: Collation = SIMPLE) -> None:
        self._key = collation.equal
        self._parts = tuple(path.split("."))
        self._found: dict[bytes, Any] = {}

    @property
    def values(self) -> list[Any]:
        """What was gathered, in the order in which it was met."""
        return list(self._found.values())

    def add(self, document: Mapping[str, Any]) -> None:
        """Gather the values of a document."""
        for value in _along(document, self._parts):
            self._found.setdefault(self._key(value), value)


def _along(node: Any, parts: tuple[str, ...]) -> Iterator[Any]:
    """The values at the path in a document, or in an array whose names are its indexes."""
    name, *rest = parts
    found, value = _field(node, name)
    if not found:
        return
    if not rest:
        yield from value if isinstance(value, list) else (value,)
    elif not isinstance(value, list) or _DIGITS.match(rest[0]):
        yield from _along(value, tuple(rest))
    else:
        for element in value:
            yield from _along(element, tuple(rest))


def _field(node: Any, name: str) -> tuple[bool, Any]:
    if isinstance(node, list):
        if _DIGITS.match(name) and str(int(name)) == name and int(name) < len(node):
            return True, node[int(name)]
        return False, None
    document = as_document(node)
    if document is None or name not in document:
        return False, None
    return True, document[name]
