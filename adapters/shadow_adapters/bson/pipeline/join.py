"""Joining documents of another collection by equality, for ``$lookup`` and ``$graphLookup``.

Equality is a filter's: an array at either end stands for its elements, and null is met by null and by missing. Values
are asked for many at once, and told apart by their byte keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

from bson.regex import Regex

from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.paths import MISSING, ends
from shadow_adapters.bson.pipeline.flow import Context, Document

_AT_ONCE: Final = 100
_NULL: Final = encode(None)


def values_at(document: Mapping[str, Any], parts: tuple[str, ...]) -> list[Any]:
    """Every value that a path reaches, the elements in the place of an array."""
    found: list[Any] = []
    for value, open_array in ends(document, parts):
        if isinstance(value, list) and open_array:
            found += value
        elif value is not MISSING:
            found.append(value)
    return found


class Join:
    """Documents of a collection by the values of one field.

    Args:
        field: dotted path.
        filter: what they must match beside.
        missing_is_null: whether null is met by a document that has no such field.
    """

    def __init__(self, collection: str, field: str, filter: Mapping[str, Any], *, missing_is_null: bool = True) -> None:
        self._collection = collection
        self._field = field
        self._parts = tuple(field.split("."))
        self._filter = filter
        self._is_null = compile_filter({field: None}).matches if missing_is_null else None

    async def find(self, values: Iterable[Any], context: Context) -> Found:
        """The documents that have one of the values."""
        wanted = {encode(value): value for value in values}
        documents: dict[bytes, Document] = {}
        for filter in self._filters(list(wanted.values())):
            async with aclosing(context.sources.find(self._collection, filter, context.variables)) as batches:
                async for batch in batches:
                    documents |= {encode(document.get("_id")): document for document in batch}
        return Found([(self._keys(document), document) for document in documents.values()])

    def _filters(self, values: list[Any]) -> list[dict[str, Any]]:
        plain = [value for value in values if value is not None and not isinstance(value, Regex)]
        at_once = len(plain) if self._field == "_id" else _AT_ONCE
        conditions: list[dict[str, Any]] = [
            {"$in": plain[at : at + at_once]} for at in range(0, len(plain), max(1, at_once))
        ]
        conditions += [{"$eq": value} for value in values if value is None or isinstance(value, Regex)]
        return [self._with({self._field: condition}) for condition in conditions]

    def _with(self, condition: dict[str, Any]) -> dict[str, Any]:
        return {"$and": [condition, self._filter]} if self._filter else condition

    def _keys(self, document: Document) -> set[bytes]:
        keys = {encode(value) for value in values_at(document, self._parts)}
        keys |= {encode(value) for value, _ in ends(document, self._parts) if isinstance(value, list)}
        if self._is_null is not None and self._is_null(document):
            keys.add(_NULL)
        return keys


class Found:
    """Documents that were found, by the byte keys of the field's values."""

    def __init__(self, documents: list[tuple[set[bytes], Document]]) -> None:
        self._documents = [document for _, document in documents]
        self._places: dict[bytes, list[int]] = {}
        for place, (keys, _) in enumerate(documents):
            for key in keys:
                self._places.setdefault(key, []).append(place)

    def of(self, values: Iterable[Any]) -> list[Document]:
        """The documents that have one of these values, in the order in which they were found."""
        places = {place for value in values for place in self._places.get(encode(value), ())}
        return [self._documents[place] for place in sorted(places)]
