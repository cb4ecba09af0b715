"""Which index of the documents layout serves a query, and its terms as SQL.

An index narrows a filter by equalities of its first fields and a range of the next one. What it selects is at least
what the filter matches; the exact matcher goes on from there. For documents of several terms (`terms.ODD`) only the
first field counts: two conditions may hold for different elements of an array, and then no single term meets both.

An index gives an order where the sort goes on behind its equalities in the index's direction, or all in the other one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple

from shadow_adapters.bson import keys
from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.match import clauses, operators_of
from shadow_adapters.bson.paths import has_index
from shadow_adapters.postgres.compiler.documents import RANGED
from shadow_adapters.postgres.compiler.resolver import FALSE, Args, Condition, FieldOrder
from shadow_adapters.postgres.compiler.where import NOT_SCALAR, RANGES
from shadow_adapters.postgres.layouts.terms import LONGEST, ODD, SOLE, WORD, Index, TextIndex

_MOST_SPANS: Final = 100
_END: Final = b"\xff"
"""Above whatever follows a value's key: the next field's tag. A longer text that begins with NUL goes on from here."""


class Span(NamedTuple):
    """Byte strings from ``low`` on and below ``high``."""

    low: bytes
    high: bytes


class Bound(NamedTuple):
    """One end of a range: the tag of its type, and the byte string."""

    kind: int
    at: bytes


class Access(NamedTuple):
    """How an index (its name) serves a query: ``condition`` narrows it, or ``order`` gives its sort and narrows it.

    ``rest``: the filter without the clauses that this makes good use of, about which SQL need not be asked again.
    """

    name: str
    condition: Condition | None
    order: FieldOrder | None
    rest: Mapping[str, Any]


class Tables(NamedTuple):
    """The names that the SQL needs: rows, terms, and the function that gives a bound while the index exists."""

    rows: str
    terms: str
    bound: str


@dataclass(slots=True)
class _Limits:
    """What a filter says of one path: values that it equals, or bounds."""

    values: tuple[bytes, ...] = ()
    low: Bound | None = None
    high: Bound | None = None

    def add(self, operator: str, operand: Any, collation: Collation) -> None:
        """Take a condition into account, if it is one that an index can use; the first of each kind counts."""
        if operator in ("$eq", "$in"):
            operands = list(operand) if operator == "$in" else [operand]
            if operands and not self.values and not any(isinstance(value, NOT_SCALAR) for value in operands):
                self.values = tuple(sorted({collation.equal(value) for value in operands}))
        elif collation is SIMPLE and operator in RANGES and not isinstance(operand, NOT_SCALAR):
            key = keys.encode(operand)
            if key[0] not in RANGED or key == keys.NAN:
                return
            if operator in ("$gt", "$gte"):
                self.low = self.low or Bound(key[0], key + _END if operator == "$gt" else key)
            else:
                self.high = self.high or Bound(key[0], key if operator == "$lt" else key + _END)

    def prefixes(self, descending: bool) -> list[bytes]:
        """What the field's bytes are where it has one of the values."""
        return [keys.invert(value) for value in self.values] if descending else list(self.values)

    def range(self, descending: bool, *, both: bool = True) -> Span | None:
        """The field's bytes where it is within the bounds; ``both`` of them may be used at once."""
        if self.low is not None:
            end = self.high.at if both and self.high is not None else bytes((self.low.kind + 1,))
            span = Span(self.low.at, end)
        elif self.high is not None:
            span = Span(bytes((self.high.kind,)), self.high.at)
        else:
            return None
        return Span(_behind(keys.invert(span.high)), _behind(keys.invert(span.low))) if descending else span


def choose(
    indexes: Sequence[Index],
    filter: Mapping[str, Any],
    sort: Mapping[str, Any] | None,
    tables: Tables,
    args: Args,
    collation: Collation = SIMPLE,
) -> Access | None:
    """The best way to the documents of a filter (one that was compiled), in an order; None where no index helps.

    ``collation``: the query's, which must be the index's. Of one that is not simple only equalities are used.
    """
    indexes = [index for index in indexes if index.collation == collation and not index.hidden]
    sort = sort if collation is SIMPLE else None
    said = list(clauses(filter))
    limits = _limits(said, collation)
    if "_id" in limits and limits["_id"].values:
        return None  # no more than these can match
    uses = [_Use.of(index, limits, sort) for index in indexes if _has_all(index, said)]
    best = max(uses, key=lambda use: use.score, default=None)
    if best is not None and any(best.score):
        rest = [{name: value} for name, value in said if not (name in best.paths and _is_said(value))]
        return best.access(tables, args, rest={"$and": rest} if rest else {})
    return _of_branches(indexes, said, tables, args, collation)


def with_terms(index: TextIndex, terms: Sequence[str], tables: Tables, args: Args) -> Condition:
    """The documents that have one of the terms; where these are too many to ask for each, those that have any."""
    if not terms:
        return FALSE
    every = (index.prefix + WORD, index.prefix + WORD + _END)
    spans = [every] if len(terms) > _MOST_SPANS else [index.within(term) for term in terms]
    bounds = [(args.add(low), args.add(high)) for low, high in spans]
    within = [f"(e.ik >= {tables.bound}({index.number}, {low}) AND e.ik < {high})" for low, high in bounds]
    return Condition(_rows_of(tables, within))


def _of_branches(
    indexes: Sequence[Index], said: Sequence[tuple[str, Any]], tables: Tables, args: Args, collation: Collation
) -> Access | None:
    """A ``$or`` each of whose branches has an index."""
    for name, branches in said:
        if name == "$or":
            mark = len(args.values)
            found = [choose(indexes, branch, None, tables, args, collation) for branch in branches]
            conditions = [access.condition.sql for access in found if access is not None and access.condition]
            if len(conditions) == len(branches):
                names = ", ".join(dict.fromkeys(access.name for access in found if access is not None))
                return Access(names, Condition("(" + " OR ".join(conditions) + ")"), None, dict(said))
            del args.values[mark:]
    return None


@dataclass(frozen=True, slots=True)
class _Use:
    """One index for one query.

    Attributes:
        equal: what each of its leading fields is equal to, one of several values each.
        range: of the field behind them.
        odd: the first field's, one after the other; empty where the query says nothing of it.
        backward: whether it gives the sort in its own direction or against it; None where it does not.
    """

    index: Index
    equal: Sequence[Sequence[bytes]]
    range: Span | None
    odd: Sequence[Span]
    backward: bool | None

    @classmethod
    def of(cls, index: Index, limits: Mapping[str, _Limits], sort: Mapping[str, Any] | None) -> _Use:
        equal: list[list[bytes]] = []
        range: Span | None = None
        for path, descending in zip(index.key, index.descending, strict=True):
            limit = limits.get(path)
            if limit is None or has_index(path):  # a position leads to more than the terms have
                break
            if not limit.values:
                range = limit.range(descending)
                break
            equal.append(limit.prefixes(descending))
        single = all(len(values) == 1 for values in equal)
        if math.prod(map(len, equal)) > _MOST_SPANS:
            range, equal = None, equal[: len(equal[0]) <= _MOST_SPANS]
        helps = bool(equal or range)
        odd = _odd(limits[next(iter(index.key))], index.descending[0]) if helps else []
        complete = helps or not index.sparse  # a sparse index lacks documents
        backward = _direction(index, len(equal), sort) if sort and single and complete else None
        return cls(index, equal, range, odd, backward)

    @property
    def score(self) -> tuple[int, bool, bool]:
        """The better, the greater: equalities, then a range, then an order. Of no use without any."""
        return len(self.equal), self.range is not None, self.backward is not None

    @property
    def paths(self) -> Collection[str]:
        """The fields whose conditions it makes use of."""
        return list(self.index.key)[: len(self.equal) + (self.range is not None)]

    def access(self, tables: Tables, args: Args, rest: Mapping[str, Any]) -> Access:
        """The SQL."""
        bounds = _Bounds(self.index, tables, args)
        sole = [bounds.within(SOLE, _joined(values, self.range)) for values in product(*self.equal)]
        odd = [bounds.within(ODD, span) for span in self.odd] or [bounds.within(ODD, Span(b"", b""))]
        if self.backward is None:
            return Access(self.index.name, Condition(_rows_of(tables, [*sole, *odd])), None, rest)
        source = f"{tables.terms} AS e JOIN {tables.rows} AS t ON t.k = e.k AND {sole[0]}"
        order = FieldOrder("e.ik DESC" if self.backward else "e.ik", _rows_of(tables, odd), source)
        return Access(self.index.name, None, order, rest)


def _rows_of(tables: Tables, terms: Sequence[str]) -> str:
    return f"t.k IN (SELECT e.k FROM {tables.terms} AS e WHERE {' OR '.join(terms)})"


def _odd(limits: _Limits, descending: bool) -> list[Span]:
    """Where the first field's part of terms that may be cut lies, in which a range has one bound."""
    range = limits.range(descending, both=False)
    spans = [Span(value, value + _END) for value in limits.prefixes(descending)] or ([range] if range else [])
    return [
        Span(span.low[:LONGEST], _behind(span.high[:LONGEST]) if len(span.high) > LONGEST else span.high)
        for span in spans
    ]


class _Bounds:
    """Conditions on one index's terms."""

    def __init__(self, index: Index, tables: Tables, args: Args) -> None:
        self._index = index
        self._tables = tables
        self._args = args

    def within(self, kind: bytes, span: Span) -> str:
        """The term is of the kind and in the span; one without bounds is all of them."""
        start = self._index.prefix + kind
        low = self._args.add(start + span.low)
        high = self._args.add(start + (span.high or _END))
        return f"(e.ik >= {self._tables.bound}({self._index.number}, {low}) AND e.ik < {high})"


def _joined(equal: Sequence[bytes], range: Span | None) -> Span:
    """The span of terms that begin with equal values and go on in a range."""
    start = b"".join(equal)
    if range is not None:
        return Span(start + range.low, start + range.high)
    return Span(start, start + _END if start else b"")


def _direction(index: Index, fixed: int, sort: Mapping[str, Any]) -> bool | None:
    """Whether the sort runs against the index behind its ``fixed`` first fields; None where it goes another way."""
    names = list(index.key)
    left = list(zip(names[fixed:], index.descending[fixed:], strict=True))
    if not index.unique:
        left.append(("_id", False))  # the document's key stands behind the values
    backward: bool | None = None
    for path, direction in sort.items():
        if path in names[:fixed]:
            continue
        if not left:
            break  # no two documents have the same values
        name, descending = left.pop(0)
        against = (direction == -1) != descending
        if name != path or (backward is not None and against != backward):
            return None
        backward = against
        if path == "_id":
            break  # no two are equal
    return bool(backward)


def _has_all(index: Index, said: Sequence[tuple[str, Any]]) -> bool:
    """Whether a partial index has all documents that the filter matches: the filter says what the index's does."""
    if index.partial is None:
        return True
    known = set(_facts(said))
    return all(fact in known for fact in _facts(clauses(index.partial)))


def _facts(said: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str, bytes]]:
    """The conditions of a filter, in a form that can be compared; what exists is said of each that must be there."""
    for name, value in said:
        operators = {"": value} if name.startswith("$") else operators_of(value)
        for operator, operand in operators.items():
            yield name, operator, keys.encode(operand)
            if operator in ("$eq", *RANGES) and not isinstance(operand, NOT_SCALAR):
                yield name, "$exists", keys.encode(True)


def _is_said(value: Any) -> bool:
    """Whether a condition is one of those that an index makes use of."""
    return all(
        (name in ("$eq", *RANGES) and not isinstance(operand, NOT_SCALAR)) or name == "$in"
        for name, operand in operators_of(value).items()
    )


def _limits(said: Sequence[tuple[str, Any]], collation: Collation) -> dict[str, _Limits]:
    found: dict[str, _Limits] = {}
    for name, value in said:
        if not name.startswith("$"):
            for operator, operand in operators_of(value).items():
                found.setdefault(name, _Limits()).add(operator, operand, collation)
    return {name: limits for name, limits in found.items() if limits.values or limits.low or limits.high}


def _behind(key: bytes) -> bytes:
    """The least byte string above all that begin with the key, which has a byte that is not the greatest."""
    kept = key.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,))
