"""Indexes of the documents layout: the terms that a document has under each, in one B-tree for all of them.

A term is the index's number, a kind, and the byte keys of the index's fields, inverted where they descend, so that
PostgreSQL's order of terms is MongoDB's order of the index. 1 and 1.0 make one term, as in MongoDB.

* `SOLE`: the document has this term alone. Behind it stands the document's own key, so that equal values of several
  documents are several terms; under a unique index it does not, and the second document is refused.
* `ODD`: the document has several terms (an array on the way), or one that is too long for a B-tree, which is cut. Such
  terms tell where a document may be found, but not its place in an order.

Under a unique index a document with `ODD` terms has the others as well, for they must be unique.

Under a text index a document has a term of the kind `WORD` for each that its texts have (`bson.text`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from shadow_adapters.bson.collation import SIMPLE, Collation, compile_collation
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.order import row_key, value_rows
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.text import OPTIONS, Definition, is_text
from shadow_adapters.contract import Key
from shadow_adapters.failures import CommandFailure

LONGEST: Final = 1024
"""Bytes of the longest values that are not cut; a B-tree does not take more than 2,704 of everything."""

GONE: Final = "SHX01"
"""SQLSTATE of a query by an index that is gone."""

HASHED: Final = "hashed"
"""The direction of a field that MongoDB hashes, whose terms lie in order here all the same."""

SOLE: Final = b"\x01"
ODD: Final = b"\x02"
WORD: Final = b"\x03"


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a collection, as ``createIndexes`` was told it.

    Attributes:
        key: its fields and directions (1, -1 or ``hashed``).
        partial: the filter of the documents that it has; None for all of them.
        ready: whether every document has its terms, so that queries may use it.
        expires: seconds after its date at which a document expires; None where it does not.
        collation: how its texts compare. Terms of any but the simple one tell what is equal, and no order.
        hidden: no query uses it; a unique one is unique all the same.
        descending: whether each field descends.
    """

    number: int
    name: str
    key: Mapping[str, Any]
    unique: bool = False
    sparse: bool = False
    partial: Mapping[str, Any] | None = None
    expires: float | None = None
    collation: Collation = SIMPLE
    ready: bool = field(default=True, compare=False)
    hidden: bool = field(default=False, compare=False)
    descending: tuple[bool, ...] = field(default=(), compare=False)
    _paths: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    _holds: Callable[[Mapping[str, Any]], bool] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, number: int, spec: Mapping[str, Any], *, ready: bool = True) -> Index:
        """The index of a specification such as ``{key: {a: 1}, name: "a_1", unique: true}``."""
        partial, collation = spec.get("partialFilterExpression"), compile_collation(spec.get("collation"))
        return cls(
            number,
            spec["name"],
            spec["key"],
            bool(spec.get("unique")),
            bool(spec.get("sparse")),
            partial,
            spec.get("expireAfterSeconds"),
            collation,
            ready,
            bool(spec.get("hidden")),
            tuple(direction == -1 for direction in spec["key"].values()),
            tuple(tuple(path.split(".")) for path in spec["key"]),
            None if partial is None else compile_filter(partial, collation=collation).matches,
        )

    def same(self, spec: Mapping[str, Any]) -> bool:
        """Whether the specification is this index's."""
        other = Index.of(self.number, spec)
        return other == self and list(other.key.items()) == list(self.key.items())

    @property
    def ordered(self) -> bool:
        """Whether the index is one by which MongoDB's order of documents, or a part of it, can be told here."""
        return self.collation is SIMPLE and HASHED not in self.key.values()

    @property
    def prefix(self) -> bytes:
        """What all terms of the index begin with."""
        return self.number.to_bytes(4, "big")

    def depends_on(self, fields: Collection[str]) -> bool:
        """Whether setting these top-level fields may change the terms."""
        return self.partial is not None or any(path[0] in fields for path in self._paths)

    def terms(self, document: Mapping[str, Any], key: Key) -> dict[bytes, dict[str, Any]]:
        """The document's terms, each with the values that made it, by path.

        Raises `CommandFailure`: 171 where two of the fields are in arrays that are not the same, 16766 for an array in
        a hashed field, and with ``unsupported`` for a text of which the collation cannot tell what equals it.
        """
        if self._holds is not None and not self._holds(document):
            return {}
        for path, direction in zip(self._paths, self.key.values(), strict=True):
            if direction == HASHED and _meets_array(document, path):
                raise CommandFailure(16766, "hashed indexes do not currently support array values")
        try:
            rows = list(value_rows(document, self._paths))
        except CommandFailure:
            raise CommandFailure(171, "cannot index parallel arrays") from None
        if self.sparse and all(value is MISSING for row in rows for value in row):
            return {}
        bodies = {row_key(row, self.descending, self.collation.equal): row for row in rows}
        odd = len(bodies) > 1 or len(key) > LONGEST or any(len(body) > LONGEST for body in bodies)
        found = {}
        for body, row in bodies.items():
            values = {path: None if value is MISSING else value for path, value in zip(self.key, row, strict=True)}
            if self.unique:
                found[self.prefix + SOLE + _cut(body)] = values
            if odd or not self.unique:
                found[self.prefix + (ODD if odd else SOLE) + _cut(body) + _cut(key)] = values
        return found


@dataclass(frozen=True, slots=True)
class TextIndex:
    """A text index of a collection, as it is listed."""

    number: int
    name: str
    key: Mapping[str, Any]
    spec: Mapping[str, Any]
    definition: Definition = field(compare=False)
    ready: bool = field(default=True, compare=False)
    unique: ClassVar[bool] = False
    sparse: ClassVar[bool] = False
    partial: ClassVar[Mapping[str, Any] | None] = None
    expires: ClassVar[float | None] = None

    @classmethod
    def of(cls, number: int, spec: Mapping[str, Any], *, ready: bool = True) -> TextIndex:
        """The index of a completed specification."""
        return cls(number, spec["name"], spec["key"], spec, Definition.of(spec), ready)

    def same(self, spec: Mapping[str, Any]) -> bool:
        """Whether the completed specification is this index's."""
        return self.same_key(spec) and all(self.spec[name] == spec[name] for name in OPTIONS)

    def same_key(self, spec: Mapping[str, Any]) -> bool:
        """Whether the specification's key is this index's."""
        return list(spec["key"].items()) == list(self.key.items())

    @property
    def prefix(self) -> bytes:
        """What all terms of the index begin with."""
        return self.number.to_bytes(4, "big")

    def depends_on(self, fields: Collection[str]) -> bool:
        """Whether setting these top-level fields may change the terms."""
        return self.definition.depends_on(fields)

    def terms(self, document: Mapping[str, Any], key: Key) -> dict[bytes, dict[str, Any]]:
        """The document's terms.

        Raises `CommandFailure`: 16675 where a field before the texts is an array, and what `Definition.texts` raises.
        """
        if any(_meets_array(document, path.split(".")) for path in self.definition.before):
            raise CommandFailure(16675, "cannot have a multi-key as a prefix to a text index")
        return {self.within(term)[0] + _cut(key): {} for term in self.definition.scores(document)}

    def within(self, term: str) -> tuple[bytes, bytes]:
        """The bounds of a term's entries: from the first on and below the second."""
        start = self.prefix + WORD + _cut(term.encode("utf-8", "surrogatepass"))
        return start + b"\0", start + b"\1"


def index_of(number: int, spec: Mapping[str, Any], *, ready: bool = True) -> Index | TextIndex:
    """The index of a specification."""
    return TextIndex.of(number, spec, ready=ready) if is_text(spec["key"]) else Index.of(number, spec, ready=ready)


def bound_function(name: str, index_table: str) -> str:
    """The function that gives back a bound of an index's terms, and raises `GONE` where the index is gone."""
    return f"""
CREATE OR REPLACE FUNCTION {name}(known integer, bound bytea) RETURNS bytea LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM {index_table} AS i WHERE i.number = known) THEN
        RAISE EXCEPTION 'index % is gone', known USING ERRCODE = '{GONE}';
    END IF;
    RETURN bound;
END $$"""


def _meets_array(value: Any, path: Sequence[str]) -> bool:
    """Whether an array is on a path, or at its end."""
    for part in path:
        if isinstance(value, list):
            break
        document = as_document(value)
        value = None if document is None else document.get(part)
    return isinstance(value, list)


def _cut(body: bytes) -> bytes:
    """The bytes, or where they are too long what they begin with and what tells them from others."""
    return body if len(body) <= LONGEST else body[:LONGEST] + hashlib.sha256(body).digest()
