"""Small updates, the documents that they change, and the filters that find those.

Operators at plain and positional paths, and pipelines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bson.int64 import Int64
from hypothesis import strategies as st

Document = dict[str, Any]

_SCALARS = st.sampled_from([0, 1, 2, -1, 1.5, Int64(3), "x", "y", None, True])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["b", "c"]), inner, max_size=2)
    ),
    max_leaves=5,
)
_SMALL = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=2), st.dictionaries(st.just("b"), _SCALARS, max_size=1))

documents = st.builds(lambda a, b: {"a": a, "b": b}, _VALUES, _VALUES)
filters = st.sampled_from(
    [{}, {"a": 1}, {"a": {"$gt": 0}}, {"a.b": 1}, {"a": {"$elemMatch": {"$gt": 0}}}, {"b": 1}, {"a": {"$in": [1, "x"]}}]
)
_ELEMENTS = st.sampled_from(
    [{"e": {"$gt": 0}}, {"e": 1}, {"e.b": 1}, {"e": {"$type": "string"}}, {"$or": [{"e": 1}, {"e": "x"}]}]
)
_PATHS = st.sampled_from(
    [
        *("a", "b", "c", "a.b", "a.0", "a.1.b", "b.c"),
        *("a.$[]", "a.$[e]", "a.$[e].b", "a.$[].b", "b.$[e]", "a.$", "a.$.b"),
    ]
)
_ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "$set": _SMALL,
    "$unset": st.just(1),
    "$inc": st.sampled_from([1, 2.5, Int64(2)]),
    "$mul": st.sampled_from([2, 0.5]),
    "$min": _SMALL,
    "$max": _SMALL,
    "$push": st.one_of(_SMALL, st.sampled_from([{"$each": [1, 0]}, {"$each": [3], "$position": 0, "$slice": 2}])),
    "$addToSet": st.one_of(_SMALL, st.just({"$each": [1, 2]})),
    "$pull": st.one_of(_SMALL, st.sampled_from([{"$gte": 1}, {"b": 1}])),
    "$pullAll": st.lists(_SCALARS, max_size=2),
    "$pop": st.sampled_from([1, -1]),
    "$rename": st.sampled_from(["d", "c"]),
    "$bit": st.sampled_from([{"or": 2}, {"and": 3}]),
}
_clauses = st.sampled_from(list(_ARGUMENTS)).flatmap(
    lambda name: st.tuples(st.just(name), st.dictionaries(_PATHS, _ARGUMENTS[name], min_size=1, max_size=2))
)
_operators = st.lists(_clauses, min_size=1, max_size=2, unique_by=lambda clause: clause[0]).map(dict)
_expressions = st.sampled_from(["$a", "$b", 1, "text", {"$literal": [1]}, {"$ifNull": ["$c", 0]}, {"$eq": ["$a", 1]}])
_stages = st.one_of(
    st.builds(lambda path, value: {"$set": {path: value}}, st.sampled_from(["a", "b", "c", "d.e"]), _expressions),
    st.builds(lambda path: {"$unset": path}, st.sampled_from(["a", "b", "a.b"])),
    st.builds(lambda path, kept: {"$project": {path: kept}}, st.sampled_from(["a", "b", "a.b"]), st.booleans()),
    st.builds(lambda root: {"$replaceWith": root}, st.sampled_from(["$a", {"a": "$b"}, "$$ROOT"])),
)


@dataclass(frozen=True)
class Statement:
    """An update of one document."""

    update: Any
    filters: list[Document] = field(default_factory=list)

    @property
    def positional(self) -> bool:
        """Whether a path has a positional operator."""
        return isinstance(self.update, dict) and any("$" in path for path in self.paths)

    @property
    def paths(self) -> list[str]:
        return [path for fields in self.update.values() for path in fields]

    def wire(self, filter: Document) -> Document:
        """The statement of an ``update`` command."""
        return {"q": filter, "u": self.update} | ({"arrayFilters": self.filters} if self.filters else {})


def _by_operators(update: Document, elements: Document) -> Statement:
    statement = Statement(update)
    return Statement(update, [elements]) if any("$[e]" in path for path in statement.paths) else statement


statements = st.one_of(
    st.builds(_by_operators, _operators, _ELEMENTS),
    st.builds(_by_operators, _operators, _ELEMENTS),
    st.builds(Statement, st.lists(_stages, min_size=1, max_size=2)),
)
