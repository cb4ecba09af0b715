"""Patterns of collections: what they cover, and which of two is the more exact one.

A pattern is matched with database and collection apart; only ``*`` is special, since ``?`` and ``[`` are legal in
collection names. One pattern is more exact than another where all that it covers is covered by the other as well.
"""

from __future__ import annotations

import re
from functools import cache

Parts = tuple[str, str]


def parts(pattern: str) -> Parts:
    """A pattern's part for the database and its part for the collection. ``*`` alone is both."""
    if pattern == "*":
        return "*", "*"
    database, _, collection = pattern.partition(".")
    return database, collection


def matches(pattern: str, database: str, collection: str) -> bool:
    """Whether the pattern covers a collection."""
    return all(_like(part, name) for part, name in zip(parts(pattern), (database, collection), strict=True))


def has_database(pattern: str, database: str) -> bool:
    """Whether the pattern covers collections of a database."""
    return _like(parts(pattern)[0], database)


def within(inner: str, outer: str) -> bool:
    """Whether all that ``inner`` covers is covered by ``outer``. A pattern's ``*`` is met by another's ``*`` only."""
    return all(_like(other, one) for one, other in zip(parts(inner), parts(outer), strict=True))


def meet(one: str, other: str) -> bool:
    """Whether there may be a collection that both cover."""
    return all(_meet(*pair) for pair in zip(parts(one), parts(other), strict=True))


def _like(pattern: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


@cache
def _meet(one: str, other: str) -> bool:
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(other, one)
    return one[0] == other[0] and _meet(one[1:], other[1:])
