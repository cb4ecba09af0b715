"""Comparing the documents that a query answered, by what the query promises of them.

A query promises which records match; their order only as far as it sorts, and among equal sort keys not at all. With
a limit, the store chooses. So records are paired by ``_id`` rather than by position, and order is judged by sort keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from shadow.compare.kinds import Call, Kind
from shadow.compare.walk import first_place
from shadow.compare.wire import wire
from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.bson.keys import encode as order_key
from shadow_adapters.bson.order import compile_sort

Documents = Sequence[dict[str, Any]]


class Found(NamedTuple):
    """The first difference: where, the two documents (or counts) concerned, and how much differs in all."""

    kind: Kind
    path: str
    authority: Any
    follower: Any
    note: str


def compare_documents(call: Call, authority: Documents, follower: Documents) -> Found | None:
    """The first difference that the call's promise does not excuse, or None."""
    left, right = _leftovers(authority, follower)
    note = f"{len(authority)} and {len(follower)} documents, {max(len(left), len(right))} differ"
    if (left or right) and (found := _contents(left, right, note, free=call.chosen)):
        return found
    if len(authority) != len(follower):
        kind = Kind.MISSING if len(authority) > len(follower) else Kind.EXTRA
        return Found(kind, "[]", len(authority), len(follower), note)
    return _order(call, authority, follower)


def _leftovers(authority: Documents, follower: Documents) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The documents of each side that have no exact equal on the other, as multisets."""
    there: defaultdict[bytes, list[dict[str, Any]]] = defaultdict(list)
    for document in follower:
        there[wire(document)].append(document)
    left = []
    for document in authority:
        equals = there.get(wire(document))
        if equals:
            equals.pop()
        else:
            left.append(document)
    return left, [document for equals in there.values() for document in equals]


def _contents(left: Documents, right: Documents, note: str, *, free: bool) -> Found | None:
    """``free``: a record on one side only is the store's choice, not a difference."""
    partners = {_identity(document, i): document for i, document in enumerate(right)}
    for i, document in enumerate(left):
        identity = _identity(document, i)
        partner = None if free and isinstance(identity, int) else partners.pop(identity, None)
        if partner is not None and (place := first_place(document, partner)):
            return Found(place.kind, f"[].{place.path}" if place.path else "[]", document, partner, note)
        if partner is None and not free:
            return Found(Kind.MISSING, "[]", document, None, note)
    return Found(Kind.EXTRA, "[]", None, next(iter(partners.values())), note) if partners and not free else None


def _identity(document: dict[str, Any], position: int) -> bytes | int:
    """What pairs two documents: ``_id``, or the position where a projection has taken it away."""
    return order_key(document["_id"]) if "_id" in document else position


def _order(call: Call, authority: Documents, follower: Documents) -> Found | None:
    if not call.sort:
        return None
    key = compile_sort(call.sort, compile_collation(call.collation))
    for i, (left, right) in enumerate(zip(authority, follower, strict=True)):
        if key(left) != key(right):
            return Found(Kind.ORDER, f"[{i}]", left, right, f"sorted by {', '.join(name for name, _ in call.sort)}")
    return None
