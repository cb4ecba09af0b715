"""BSON's total order, and sorting documents by it.

A sort key is a byte key (see `keys`): each field's key, inverted where descending, one after another. A document with
an array on a sorted path has one row of values for each element, and sorts by its first row in the order asked for, so
by the least element ascending and by the greatest descending (MongoDB's `SortKeyGenerator`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.keys import TAG_NULL, TAG_UNDEFINED, encode, invert
from shadow_adapters.bson.paths import MISSING, as_document, is_index
from shadow_adapters.failures import CommandFailure

Key = Callable[[Any], bytes]
"""From a value to a byte key that is in order."""

Score = Callable[[Mapping[str, Any]], float]
"""From a document that ``$text`` found to how well it did."""

Sort = Mapping[str, Any] | Sequence[tuple[str, Any]]
"""Field paths and directions (1 or -1), the first the most significant."""


class _EmptyArray(list[Any]):
    """Told apart from an empty array that is an element of another one."""


EMPTY_ARRAY: Final = _EmptyArray()
"""In a row of values: the path ends at an array without elements."""

_NULL: Final = bytes((TAG_NULL,))
_EMPTY_ARRAY_KEY: Final = bytes((TAG_UNDEFINED,))  # as MongoDB indexes it; equal to nothing else


def compare(a: Any, b: Any, collation: Collation = SIMPLE) -> int:
    """-1, 0 or 1 as ``a`` is below, equal to or above ``b`` in BSON's order, texts in the collation's."""
    left, right = collation.order(a), collation.order(b)
    return (left > right) - (left < right)


def sort_documents(
    documents: Iterable[dict[str, Any]], spec: Sort, collation: Collation = SIMPLE
) -> list[dict[str, Any]]:
    """The documents in order; equal ones stay as they came. Raises `CommandFailure` as `compile_sort` does."""
    return sorted(documents, key=compile_sort(spec, collation))


def sort_key(document: Mapping[str, Any], spec: Sort) -> bytes:
    """The byte key that the document sorts by. Raises `CommandFailure` as `compile_sort` does."""
    return compile_sort(spec)(document)


def compile_sort(
    spec: Sort, collation: Collation = SIMPLE, score: Score | None = None
) -> Callable[[Mapping[str, Any]], bytes]:
    """The function from a document to its sort key; texts are in the order of the collation.

    ``score`` is what ``{$meta: "textScore"}`` sorts by, the best first.

    Raises `CommandFailure` 15974 or 15975 for a bad direction, with ``unsupported`` for ``$natural`` and ``$meta``, for
    a score (40218) where none is given. The function raises it (2) for a document with arrays on two of the paths, and
    for a text that the collation cannot tell the order of.
    """
    pairs = list(spec.items() if isinstance(spec, Mapping) else spec)
    if any(_is_score(direction) for _, direction in pairs):
        if score is None:
            text = "query requires text score metadata, but it is not available"
            raise CommandFailure(40218, text, unsupported="sort $meta")
        return _with_score(pairs, collation, score)
    encode_one = collation.order
    descending = [_descends(name, direction) for name, direction in pairs]
    paths = [tuple(name.split(".")) for name, _ in pairs]

    fields = [(name, down) for (name, _), down in zip(pairs, descending, strict=True)]
    plain = all(len(path) == 1 for path in paths)

    def key(document: Mapping[str, Any]) -> bytes:
        if plain:
            found = _plain_key(document, fields, encode_one)
            if found is not None:
                return found
        return min(row_key(row, descending, encode_one) for row in value_rows(document, paths))

    return key


def by_score(spec: Sort) -> bool:
    """Whether an order is by the score of ``$text``, among others."""
    return any(_is_score(direction) for _, direction in (spec.items() if isinstance(spec, Mapping) else spec))


def _is_score(direction: Any) -> bool:
    return isinstance(direction, Mapping) and dict(direction) == {"$meta": "textScore"}


def _with_score(
    pairs: list[tuple[str, Any]], collation: Collation, score: Score
) -> Callable[[Mapping[str, Any]], bytes]:
    """A sort key of which some parts are the score's."""
    parts: list[Callable[[Mapping[str, Any]], bytes]] = []
    for scored, group in groupby(pairs, key=lambda pair: _is_score(pair[1])):
        parts.append(
            (lambda document: invert(encode(score(document)))) if scored else compile_sort(list(group), collation)
        )
    return lambda document: b"".join([part(document) for part in parts])


def _plain_key(document: Mapping[str, Any], fields: list[tuple[str, bool]], encode_one: Key) -> bytes | None:
    """The sort key by fields of the document itself; None where one of them is an array."""
    parts = []
    for name, down in fields:
        value = document.get(name)  # missing sorts as null does
        if isinstance(value, list):
            return None
        parts.append(invert(encode_one(value)) if down else encode_one(value))
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


def value_rows(document: Mapping[str, Any], paths: Sequence[tuple[str, ...]]) -> Iterator[list[Any]]:
    """Every row of the values that the paths come to: one for each element of an array on the way.

    A value may be `MISSING` or `EMPTY_ARRAY`. Raises `CommandFailure` 2 where two paths lead through arrays that are
    not the same.
    """
    return _rows([(document, path) for path in paths])


def row_key(row: Sequence[Any], descending: Sequence[bool], encode_one: Key = encode) -> bytes:
    """The byte key of a row of values, inverted where descending."""
    keys = [_key(value, encode_one) for value in row]
    return b"".join([invert(key) if down else key for key, down in zip(keys, descending, strict=True)])


class _AtArray:
    """A field whose path has come to an array, with what is left of the path."""

    __slots__ = ("array", "rest")

    def __init__(self, array: list[Any], rest: tuple[str, ...]) -> None:
        self.array = array
        self.rest = rest


def _rows(fields: list[tuple[Any, tuple[str, ...]]]) -> Iterator[list[Any]]:
    """Every row of the fields' values. A field is where its path starts, and the path."""
    reached = [_walk(start, path) for start, path in fields]
    arrays = [field for field in reached if isinstance(field, _AtArray)]
    if not arrays:
        yield reached
        return
    array = arrays[0].array
    if any(other.array is not array for other in arrays):
        raise CommandFailure(2, "cannot sort with keys that are parallel arrays")
    for element in array or [EMPTY_ARRAY]:
        yield from _element_rows(reached, element)


def _element_rows(reached: list[Any], element: Any) -> Iterator[list[Any]]:
    """Rows of one element: a field that ends at the array is the element, the others go on inside it."""
    inner: list[tuple[Any, tuple[str, ...]]] = []
    ended: dict[int, Any] = {}
    for position, field in enumerate(reached):
        if isinstance(field, _AtArray) and field.rest:
            inner.append((element, field.rest))
        else:
            ended[position] = element if isinstance(field, _AtArray) else field
    for row in _rows(inner):
        rest = iter(row)
        yield [ended[position] if position in ended else next(rest) for position in range(len(reached))]


def _key(value: Any, encode_one: Key) -> bytes:
    if value is MISSING:
        return _NULL
    return _EMPTY_ARRAY_KEY if value is EMPTY_ARRAY else encode_one(value)


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
