"""Walking dotted paths through documents and arrays, the way a filter reads them.

A path reaches *ends*: values, or `MISSING` where the document has no such field. Rules (MongoDB's `ElementPath`):
an array on the way is descended one level, into its documents; a part that is a number is an index as well as a name;
other elements of an array on the way are passed over, while a scalar elsewhere on the way ends the path as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from bson.dbref import DBRef


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""The end of a path that leads nowhere."""

Predicate = Callable[[Any], bool]


def as_document(value: Any) -> Mapping[str, Any] | None:
    """The value as a document, or None if it is none. The driver decodes a reference into a class of its own."""
    if type(value) is dict:
        return value
    if isinstance(value, Mapping):
        return value
    return value.as_doc() if isinstance(value, DBRef) else None


def is_index(part: str) -> bool:
    """Whether a path's part can be an array index: digits without a leading zero."""
    return part.isdecimal() and part.isascii() and (part == "0" or part[0] != "0")


def ends(document: Mapping[str, Any], parts: Sequence[str]) -> Iterator[tuple[Any, bool]]:
    """Every end of the path, with whether an array there is to be looked into.

    An array reached as an element of another one is not looked into: ``a.0`` over ``[[1]]`` ends at ``[1]``, not 1.
    """
    node: Mapping[str, Any] = document
    for position, part in enumerate(parts):
        value = node.get(part, MISSING)
        rest = parts[position + 1 :]
        if not rest:
            yield value, True
            return
        if isinstance(value, list):
            yield from _ends_in_array(value, rest)
            return
        inner = as_document(value)
        if inner is None:
            yield MISSING, False
            return
        node = inner


def _ends_in_array(array: list[Any], parts: Sequence[str]) -> Iterator[tuple[Any, bool]]:
    index = int(parts[0]) if is_index(parts[0]) else -1
    rest = parts[1:]
    for position, element in enumerate(array):
        document = as_document(element)
        if document is not None:
            yield from ends(document, parts)
        if position != index:
            continue
        if not rest:
            yield element, False
        elif document is not None:
            yield from ends(document, rest)
        elif isinstance(element, list):
            yield from _ends_in_array(element, rest)


def reader(path: str, predicate: Predicate, *, into_arrays: bool) -> Callable[[Mapping[str, Any]], bool]:
    """A function that tells whether any end of the path satisfies the predicate.

    ``into_arrays``: the elements of an array at the end are tried too, before the array itself.
    """
    parts = path.split(".")
    if len(parts) == 1:
        return _read_field(path, predicate, into_arrays)

    def read(document: Mapping[str, Any]) -> bool:
        for value, open_array in ends(document, parts):
            if into_arrays and open_array and isinstance(value, list) and any(map(predicate, value)):
                return True
            if predicate(value):
                return True
        return False

    return read


def _read_field(name: str, predicate: Predicate, into_arrays: bool) -> Callable[[Mapping[str, Any]], bool]:
    if not into_arrays:
        return lambda document: predicate(document.get(name, MISSING))

    def read(document: Mapping[str, Any]) -> bool:
        value = document.get(name, MISSING)
        if isinstance(value, list) and any(map(predicate, value)):
            return True
        return predicate(value)

    return read
