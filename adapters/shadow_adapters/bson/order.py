"""BSON's total order, and sorting documents by it.

A sort key is a byte key (see `keys`): each field's key, inverted where descending, one after another. A document with
an array on a sorted path has one row of values for each element, and sorts by its first row in the order asked for, so
by the least element ascending and by the greatest descending (MongoDB's `SortKeyGenerator`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.keys import TAG_NULL, TAG_UNDEFINED, encode, invert
from shadow_adapters.bson.paths import MISSING, as_document, is_index
from shadow_adapters.failures import CommandFailure

Sort = Mapping[str, Any] | Sequence[tuple[str, Any]]
"""Field paths and directions (1 or -1), the first the most significant."""


class _Known(bytes):
    """A key that stands in the place of a value."""


_NULL: Final = bytes((TAG_NULL,))
_EMPTY_ARRAY: Final = _Known((TAG_UNDEFINED,))


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1 as ``a`` is below, equal to or above ``b`` in BSON's order."""
    left, right = encode(a), encode(b)
    return (left > right) - (left < right)


def sort_documents(
    documents: Iterable[dict[str, Any]], spec: Sort, collation: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The documents in order; equal ones stay as they came. Raises `CommandFailure` as `compile_sort` does."""
    check_collation(collation)
    return sorted(documents, key=compile_sort(spec))


def sort_key(document: Mapping[str, Any], spec: Sort) -> bytes:
    """The byte key that the document sorts by. Raises `CommandFailure` as `compile_sort` does."""
    return compile_sort(spec)(document)


def check_collation(collation: Mapping[str, Any] | None) -> None:
    """Raises `CommandFailure` for any collation but the simple one."""
    if collation is not None and dict(collation) != {"locale": "simple"}:
        raise CommandFailure(2, "collation is not served, but for {locale: 'simple'}", unsupported="collation")


def compile_sort(spec: Sort) -> Callable[[Mapping[str, Any]], bytes]:
    """The function from a document to its sort key.

    Raises `CommandFailure` 15974 or 15975 for a bad direction, with ``unsupported`` for ``$meta`` and ``$natural``. The
    function raises it (2) for a document with arrays on two of the paths.
    """
    pairs = list(spec.items() if isinstance(spec, Mapping) else spec)
    descending = [_descends(name, direction) for name, direction in pairs]
    paths = [tuple(name.split(".")) for name, _ in pairs]

    fields = [(name, down) for (name, _), down in zip(pairs, descending, strict=True)]
    plain = all(len(path) == 1 for path in paths)

    def key(document: Mapping[str, Any]) -> bytes:
        if plain:
            found = _plain_key(document, fields)
            if found is not None:
                return found
        rows = _rows([(document, path) for path in paths])
        return min(_row_key(row, descending) for row in rows)

    return key


def _plain_key(document: Mapping[str, Any], fields: list[tuple[str, bool]]) -> bytes | None:
    """The sort key by fields of the document itself; None where one of them is an array."""
    parts = []
    for name, down in fields:
        value = document.get(name)  # missing sorts as null does
        if isinstance(value, list):
            return None
        parts.append(invert(encode(value)) if down else encode(value))
    return b"".join(parts)


def _descends(name: str, direction: Any) -> bool:
    if name == "$natural" or isinstance(direction, Mapping):
        operator = name if name == "$natural" else next(iter(direction), "")
        raise CommandFailure(2, f"sort by {operator} is not served", unsupported=f"sort {operator}")
    if isinstance(direction, bool) or not isinstance(direction, int | float):
        raise CommandFailure(15974, f"Illegal key in $sort specification: {name}")
    if direction not in (1, -1):
        raise CommandFailure(15975, "$sort key ordering must be 1 (for ascending) or -1 (for descending)")
    return direction == -1


def _row_key(row: list[bytes], descending: list[bool]) -> bytes:
    return b"".join([invert(key) if down else key for key, down in zip(row, descending, strict=True)])


class _AtArray:
    """A field whose path has come to an array, with what is left of the path."""

    __slots__ = ("array", "rest")

    def __init__(self, array: list[Any], rest: tuple[str, ...]) -> None:
        self.array = array
        self.rest = rest


def _rows(fields: list[tuple[Any, tuple[str, ...]]]) -> Iterator[list[bytes]]:
    """Every row of keys that the fields' values give. A field is where its path starts, and the path."""
    reached = [_walk(start, path) for start, path in fields]
    arrays = [field for field in reached if isinstance(field, _AtArray)]
    if not arrays:
        yield [_key(field) for field in reached]
        return
    array = arrays[0].array
    if any(other.array is not array for other in arrays):
        raise CommandFailure(2, "cannot sort with keys that are parallel arrays")
    for element in array or [_EMPTY_ARRAY]:
        yield from _element_rows(reached, element)


def _element_rows(reached: list[Any], element: Any) -> Iterator[list[bytes]]:
    """Rows of one element: a field that ends at the array is the element, the others go on inside it."""
    inner: list[tuple[Any, tuple[str, ...]]] = []
    ended: dict[int, bytes] = {}
    for position, field in enumerate(reached):
        if isinstance(field, _AtArray) and field.rest:
            inner.append((element, field.rest))
        else:
            ended[position] = _key(element if isinstance(field, _AtArray) else field)
    for row in _rows(inner):
        rest = iter(row)
        yield [ended[position] if position in ended else next(rest) for position in range(len(reached))]


def _key(value: Any) -> bytes:
    if value is MISSING:
        return _NULL
    return value if isinstance(value, _Known) else encode(value)


def _walk(start: Any, path: tuple[str, ...]) -> Any:
    """The value at the path, `MISSING`, or `_AtArray` where an array has to be spread out first."""
    value = start
    by_index = False
    for position, part in enumerate(path):
        by_index = bool(position) and isinstance(value, list)
        if by_index:
            if not is_index(part) or int(part) >= len(value):
                return _AtArray(value, path[position:])
            value = value[int(part)]
        else:
            document = as_document(value)
            value = MISSING if document is None else document.get(part, MISSING)
    # An array that is itself an element of one is a value, as it is for a filter
    return _AtArray(value, ()) if isinstance(value, list) and not by_index else value
