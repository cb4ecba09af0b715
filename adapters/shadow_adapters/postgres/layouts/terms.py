"""Unique indexes of the documents layout: the terms that a document holds, each of which one document may hold.

A term is the index's number and the byte keys of its fields, one term for each element where a field is an array
(multikey). Byte keys make 1 and 1.0 one term, as in MongoDB. A long term is hashed: only its equality matters, and a
B-tree does not take more than 2,704 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from shadow_adapters.bson import keys, paths
from shadow_adapters.failures import CommandFailure

_LONGEST = 1024
_EMPTY_ARRAY = bytes((keys.TAG_UNDEFINED,))  # as MongoDB indexes it; equal to nothing else


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a collection, as ``createIndexes`` was told it."""

    number: int
    name: str
    key: Mapping[str, Any]
    unique: bool = False
    sparse: bool = False
    _parts: tuple[tuple[str, ...], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, number: int, spec: Mapping[str, Any]) -> Index:
        """The index of a specification such as ``{key: {a: 1}, name: "a_1", unique: true}``."""
        parts = tuple(tuple(path.split(".")) for path in spec["key"])
        return cls(number, spec["name"], spec["key"], bool(spec.get("unique")), bool(spec.get("sparse")), parts)

    def terms(self, document: Mapping[str, Any]) -> dict[bytes, dict[str, Any]]:
        """The document's terms, each with the values that made it, by path.

        Raises `CommandFailure` 171 where two of the fields are arrays.
        """
        fields = [_values(document, parts) for parts in self._parts]
        if self.sparse and all(values == [(paths.MISSING, False)] for values in fields):
            return {}
        if sum(any(from_array for _, from_array in values) for values in fields) > 1:
            raise CommandFailure(171, "cannot index parallel arrays")
        found = {}
        for combination in product(*fields):
            values = [None if value is paths.MISSING else value for value, _ in combination]
            found[self._term(values)] = dict(zip(self.key, values, strict=True))
        return found

    def _term(self, values: Sequence[Any]) -> bytes:
        body = b"".join(_EMPTY_ARRAY if value is _EMPTY else keys.encode(value) for value in values)
        if len(body) > _LONGEST:
            body = b"#" + hashlib.sha256(body).digest()
        return self.number.to_bytes(4, "big") + body


class _EmptyArray(list[Any]):
    """Told apart from an empty array that is an element of another one."""


_EMPTY = _EmptyArray()


def _values(document: Mapping[str, Any], parts: Sequence[str]) -> list[tuple[Any, bool]]:
    found: list[tuple[Any, bool]] = []
    ends = list(paths.ends(document, parts))
    for value, open_array in ends:
        if isinstance(value, list) and open_array:
            found += [(element, True) for element in value] or [(_EMPTY, True)]
        else:
            found.append((value, len(ends) > 1))
    return found or [(paths.MISSING, False)]
