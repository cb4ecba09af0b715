"""Finding the first place at which two documents differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shadow.compare.kinds import Kind
from shadow.compare.wire import bson_type, same


class Place(NamedTuple):
    """A kind of difference and the path at which it was found (``a.b[2]``; empty for the value itself)."""

    kind: Kind
    path: str


def first_place(authority: Any, follower: Any, path: str = "") -> Place | None:
    """The first difference in the authority's field order; None where both are the same.

    Field order itself comes last: it is reported only where all fields are equal.
    """
    if same(authority, follower):
        return None
    if isinstance(authority, Mapping) and isinstance(follower, Mapping):
        return _documents(authority, follower, path)
    if isinstance(authority, list | tuple) and isinstance(follower, list | tuple):
        return _arrays(authority, follower, path)
    return Place(Kind.VALUE if bson_type(authority) == bson_type(follower) else Kind.TYPE, path)


def _documents(authority: Mapping[str, Any], follower: Mapping[str, Any], path: str) -> Place | None:
    for name, value in authority.items():
        inner = f"{path}.{name}" if path else name
        if name not in follower:
            return Place(Kind.MISSING, inner)
        if place := first_place(value, follower[name], inner):
            return place
    for name in follower:
        if name not in authority:
            return Place(Kind.EXTRA, f"{path}.{name}" if path else name)
    return None if list(authority) == list(follower) else Place(Kind.ORDER, path)


def _arrays(authority: Sequence[Any], follower: Sequence[Any], path: str) -> Place | None:
    for i, (left, right) in enumerate(zip(authority, follower, strict=False)):
        if place := first_place(left, right, f"{path}[{i}]"):
            return place
    if len(authority) == len(follower):
        return None
    kind = Kind.MISSING if len(authority) > len(follower) else Kind.EXTRA
    return Place(kind, f"{path}[{min(len(authority), len(follower))}]")
