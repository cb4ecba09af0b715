"""Whether two answers to one call are equal, and if not, how they differ.

Equality first, on BSON bytes: most comparisons end there. Only what differs is walked, and only what is shown is
explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow.compare.difference import Difference
from shadow.compare.documents import compare_documents
from shadow.compare.failure import failure
from shadow.compare.kinds import Call, Kind, Shape
from shadow.compare.walk import first_place
from shadow.compare.wire import same
from shadow_adapters.bson.keys import encode


def difference(call: Call, authority: Any, follower: Any) -> Difference | None:
    """Compare two outcomes of one call: BSON values, lists of documents, or exceptions.

    Args:
        call: what the call promises of its answer.
        authority: the authority's outcome. An exception is an outcome like any other.
        follower: the follower's.

    Returns:
        None when they agree: equal in value, type and field order, or failing alike.

    Raises:
        bson.errors.InvalidDocument: a value is not one of BSON's.
    """
    if isinstance(authority, BaseException) or isinstance(follower, BaseException):
        return _failures(authority, follower)
    if same(authority, follower):
        return None
    if call.shape in (Shape.COMPUTED, Shape.GATHERED):
        return _computed(call, authority, follower)
    if call.shape is Shape.RESULT:
        place = first_place(authority, follower)
        return Difference(Kind.RESULT, place.path if place else "", authority, follower)
    if call.shape is Shape.DOCUMENT and not call.chosen:
        return _one(authority, follower)
    return _many(call, authority, follower)


def _failures(authority: Any, follower: Any) -> Difference | None:
    both = isinstance(authority, BaseException) and isinstance(follower, BaseException)
    if both and failure(authority) == failure(follower):
        return None
    return Difference(Kind.ERROR, "", authority, follower)


def _computed(call: Call, authority: Any, follower: Any) -> Difference | None:
    """Documents as bags. What differs is nobody's record, so that it has no key."""
    left, right = sorted(authority, key=encode), sorted(follower, key=encode)
    if same(left, right) or (call.shape is Shape.GATHERED and encode(left) == encode(right)):
        return None
    place = first_place(left, right)
    return Difference(Kind.RESULT, place.path if place else "", left, right)


def _one(authority: Any, follower: Any) -> Difference | None:
    if authority is None or follower is None:
        kind = Kind.EXTRA if authority is None else Kind.MISSING
        return _with_id(kind, "", authority, follower)
    place = first_place(authority, follower)
    return _with_id(place.kind, place.path, authority, follower) if place else None


def _many(call: Call, authority: Any, follower: Any) -> Difference | None:
    if call.shape is Shape.DOCUMENT:
        authority, follower = _as_list(authority), _as_list(follower)
    found = compare_documents(call, authority, follower)
    return _with_id(*found) if found else None


def _as_list(document: Any) -> list[Any]:
    return [] if document is None else [document]


def _with_id(kind: Kind, path: str, authority: Any, follower: Any, note: str = "") -> Difference:
    record = authority if isinstance(authority, Mapping) else follower
    known = isinstance(record, Mapping) and "_id" in record
    return Difference(kind, path, authority, follower, note, record["_id"] if known else None, known)
