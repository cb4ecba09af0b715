"""Stand-ins for values: a case can be replayed with them, and tells nobody what the values were.

A stand-in has its value's BSON type. Values that are equal get equal stand-ins, values of one type keep their order,
and 1 and 1.0 stay equal. Booleans, null and what has only one value stay as they are, and so do field names and the
shape of documents and arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bson import Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.keys import encode as order_key

_LOGICAL = ("$and", "$or", "$nor")
_COMPARING = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin")
_SHAPE = ("$exists", "$size", "$type")
_NESTED = ("$not", "$elemMatch")
_UUID_BYTES = 16

Leaf = Callable[[Any], Any]


class CannotHide(Exception):
    """A value, or an operator that looks inside values, for which nothing can stand in."""


class StandIns:
    """Stand-ins for the values of some documents and filters, alike in all of them.

    Raises `CannotHide` where there is none.
    """

    def __init__(self, documents: list[Any], filters: list[Mapping[str, Any]]) -> None:
        leaves: list[Any] = []
        for document in documents:
            of_document(document, leaves.append)
        for each in filters:
            of_filter(each, leaves.append)
        ranked = sorted({order_key(leaf) for leaf in leaves if not _shows_nothing(leaf)})
        self._ranks = {key: rank for rank, key in enumerate(ranked, 1)}

    def document(self, document: Any) -> Any:
        """A document (or any other value) with stand-ins."""
        return of_document(document, self._of)

    def filter(self, filter: Mapping[str, Any]) -> dict[str, Any]:
        """A filter with stand-ins for the values that it compares with."""
        return of_filter(filter, self._of)

    def _of(self, value: Any) -> Any:
        return value if _shows_nothing(value) else _stand_in(value, self._ranks[order_key(value)])


def of_document(value: Any, leaf: Leaf) -> Any:
    """The value with ``leaf`` applied to everything that is neither a document nor an array."""
    if isinstance(value, Mapping):
        return {name: of_document(inner, leaf) for name, inner in value.items()}
    if isinstance(value, list):
        return [of_document(inner, leaf) for inner in value]
    return leaf(value)


def of_filter(filter: Mapping[str, Any], leaf: Leaf) -> dict[str, Any]:
    """The filter with ``leaf`` applied to every value that it compares with. Raises `CannotHide`."""
    return dict(_parts(filter, leaf))


def _parts(filter: Mapping[str, Any], leaf: Leaf) -> Iterator[tuple[str, Any]]:
    for name, value in filter.items():
        if name in _LOGICAL:
            yield name, [of_filter(each, leaf) for each in value]
        elif name in _COMPARING:
            yield name, _compared(value, leaf)
        elif name == "$all":
            yield name, [_condition(each, leaf) for each in value]
        elif name in _SHAPE:
            yield name, value
        elif name in _NESTED:
            yield name, _condition(value, leaf)
        elif name.startswith("$"):
            raise CannotHide(name)
        else:
            yield name, _condition(value, leaf)


def _condition(value: Any, leaf: Leaf) -> Any:
    """What stands beside a field: operators, or a value that is compared with."""
    if isinstance(value, Mapping) and any(name.startswith("$") for name in value):
        return of_filter(value, leaf)
    return _compared(value, leaf)


def _compared(value: Any, leaf: Leaf) -> Any:
    def checked(inner: Any) -> Any:
        if isinstance(inner, Regex):
            raise CannotHide("a regular expression")
        return leaf(inner)

    return of_document(value, checked)


def _shows_nothing(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or isinstance(value, bool | MinKey | MaxKey)


def _stand_in(value: Any, rank: int) -> Any:
    for of, made in _MADE.items():
        if isinstance(value, of):
            return made(value, rank)
    raise CannotHide(type(value).__name__)


def _binary(value: Any, rank: int) -> Binary:
    subtype = value.subtype if isinstance(value, Binary) else 0
    return Binary(rank.to_bytes(_UUID_BYTES if subtype in (3, UUID_SUBTYPE) else 4), subtype)


_MADE: dict[type, Callable[[Any, int], Any]] = {
    float: lambda _, rank: float(rank),
    Int64: lambda _, rank: Int64(rank),
    int: lambda _, rank: rank,
    Decimal128: lambda _, rank: Decimal128(str(rank)),
    str: lambda _, rank: f"s{rank:06d}",
    ObjectId: lambda _, rank: ObjectId(f"{rank:024x}"),
    DatetimeMS: lambda _, rank: DatetimeMS(rank * 1000),
    Timestamp: lambda _, rank: Timestamp(rank, 1),
    bytes: _binary,
}
"""The more special type first: an Int64 is an int, a Binary is bytes."""
