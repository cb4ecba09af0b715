"""Walking dotted paths through documents and arrays, the way a filter reads them.

A path reaches *ends*: values, or `MISSING` where the document has no such field. Rules (MongoDB's `ElementPath`):
an array on the way is descended one level, into its documents; a part that is a number is an index as well as a name;
other elements of an array on the way are passed over, while a scalar elsewhere on the way ends the path as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, cast

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp


class _Missing(Enum):
    MISSING = "missing"


MISSING: Final = _Missing.MISSING
"""The end of a path that leads nowhere."""

Predicate = Callable[[Any], bool]

SCALARS: Final[frozenset[type]] = frozenset(
    (
        str,
        int,
        float,
        bool,
        type(None),
        bytes,
        Int64,
        ObjectId,
        DatetimeMS,
        datetime,
        Decimal128,
        Binary,
        Timestamp,
        Regex,
    )
)
"""Types known to hold no other values: asking for the type is much cheaper than asking whether it is a `Mapping`."""

REFERENCE_FIELDS: Final = frozenset(("$ref", "$id", "$db"))
"""Fields of a reference (DBRef): the names with a dollar that are no operators."""


def as_document(value: Any) -> Mapping[str, Any] | None:
    """The value as a document, or None if it is none. The driver decodes a reference into a class of its own."""
    kind = type(value)
    if kind is dict:
        return cast(Mapping[str, Any], value)
    if kind in SCALARS:
        return None
    if isinstance(value, Mapping):
        return value
    return value.as_doc() if isinstance(value, DBRef) else None


def is_index(part: str) -> bool:
    """Whether a path's part can be an array index: digits without a leading zero."""
    return part.isdecimal() and part.isascii() and (part == "0" or part[0] != "0")


def has_index(path: str) -> bool:
    """Whether a part of a dotted path can be an array index."""
    return any(map(is_index, path.split(".")))


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
            yield from _ends_in_array(value, rest, range(len(value)))
            return
        inner = as_document(value)
        if inner is None:
            yield MISSING, False
            return
        node = inner


def ends_by_element(document: Mapping[str, Any], parts: Sequence[str]) -> Iterator[tuple[int | None, Any, bool]]:
    """`ends`, each behind the index of the element of the first array on the way that led to it, if one did."""
    node: Any = document
    for position, part in enumerate(parts[:-1]):
        node = node.get(part)
        if isinstance(node, list):
            rest = parts[position + 1 :]
            for index in range(len(node)):
                for value, open_array in _ends_in_array(node, rest, range(index, index + 1)):
                    yield index, value, open_array
            return
        node = as_document(node)
        if node is None:
            break
    for value, open_array in ends(document, parts):
        yield None, value, open_array


def _ends_in_array(array: list[Any], parts: Sequence[str], positions: range) -> Iterator[tuple[Any, bool]]:
    index = int(parts[0]) if is_index(parts[0]) else -1
    rest = parts[1:]
    for position in positions:
        element = array[position]
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
            yield from _ends_in_array(element, rest, range(len(element)))


def reader(path: str, predicate: Predicate, *, into_arrays: bool) -> Callable[[Mapping[str, Any]], bool]:
    """A function that tells whether any end of the path satisfies the predicate.

    ``into_arrays``: the elements of an array at the end are tried too, before the array itself.
    """
    *way, last = path.split(".")
    read_last = _read_field(last, predicate, into_arrays)
    if not way:
        return read_last
    read_branching = _read_branching([*way, last], predicate, into_arrays)

    def read(document: Mapping[str, Any]) -> bool:
        node: Any = document
        for part in way:
            node = node.get(part)
            if type(node) is not dict:
                return read_branching(document)
        return read_last(node)

    return read


def _read_branching(parts: list[str], predicate: Predicate, into_arrays: bool) -> Callable[[Mapping[str, Any]], bool]:
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
