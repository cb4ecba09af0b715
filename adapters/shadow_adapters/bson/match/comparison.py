"""``$eq $ne $gt $gte $lt $lte $in $nin``: comparing with a value, within its type.

Values are compared by their byte keys, which a collation makes of texts. A comparison with a value of another type is
false (type bracketing), except that missing counts as null, and that MinKey and MaxKey are comparable with everything.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from typing import Any

from bson.int64 import Int64
from bson.regex import Regex

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.keys import NAN, TAG_MAX_KEY, TAG_MIN_KEY, TAG_NULL, TAG_NUMBER, encode
from shadow_adapters.bson.match.regex import as_regex, pattern
from shadow_adapters.bson.match.test import Leaf, Not, Test
from shadow_adapters.bson.paths import MISSING, REFERENCE_FIELDS, Predicate, as_document
from shadow_adapters.failures import CommandFailure

Ordered = Callable[[Any, Any], bool]

_NUMBERS = (int, float, Int64)


def equal(argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """Equality with a value; with null also for a missing field."""
    key = collation.equal(argument)
    if key[0] == TAG_NULL:
        return Leaf(lambda value: value is None or value is MISSING)
    if collation is not SIMPLE:
        return Leaf(lambda value: _of_type(value, key[0]) and collation.equal(value) == key)
    kinds = _same(argument)
    if kinds:
        return Leaf(lambda value: value == argument if type(value) in kinds else _has_key(value, key))
    return Leaf(lambda value: _has_key(value, key))


def _same(argument: Any) -> tuple[type, ...]:
    """The types whose values Python compares with this one as MongoDB does, without their keys being made.

    Numbers exactly, also an int with a float (of NaN nothing is said here); texts by code point, which is the order of
    their UTF-8.
    """
    if type(argument) is str:
        return (str,)
    return _NUMBERS if type(argument) in _NUMBERS and argument == argument else ()


def _of_type(value: Any, tag: int) -> bool:
    """Whether a value has the tag; asked first where a collation may not be able to tell of a text."""
    return value is not MISSING and encode(value)[0] == tag


def _has_key(value: Any, key: bytes) -> bool:
    return value is not MISSING and encode(value) == key


def not_equal(argument: Any, collation: Collation = SIMPLE) -> Not:
    """``$ne``: no value is equal."""
    _refuse_regex("$ne", argument)
    return Not(equal(argument, collation))


def ordered(name: str, argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """``$gt $gte $lt $lte``: a value of the same type, on the right side of the argument."""
    _refuse_regex(name, argument)
    key = collation.order(argument)
    if key[0] == TAG_NULL or key == NAN:  # neither has anything below or above it of its kind
        return equal(argument) if name in ("$gte", "$lte") else Leaf(lambda _: False)
    if key[0] in (TAG_MIN_KEY, TAG_MAX_KEY):
        return Leaf(_beyond(name, key))
    return Leaf(_bracketed(_ORDERED[name], argument, key, collation))


def _bracketed(holds: Ordered, argument: Any, bound: bytes, collation: Collation) -> Predicate:
    tag = bound[0]
    number = tag == TAG_NUMBER
    if collation is not SIMPLE:
        return lambda value: (
            _of_type(value, tag) and holds(key := collation.order(value), bound) and not (number and key == NAN)
        )

    def predicate(value: Any) -> bool:
        if value is MISSING:
            return False
        key = encode(value)
        return key[0] == tag and holds(key, bound) and not (number and key == NAN)

    kinds = _same(argument)
    if not kinds:
        return predicate
    return lambda value: holds(value, argument) if type(value) in kinds else predicate(value)


def _beyond(name: str, bound: bytes) -> Predicate:
    """Comparison with MinKey or MaxKey: everything else, missing too, is above the one and below the other."""
    others = name in (("$gt", "$gte") if bound[0] == TAG_MIN_KEY else ("$lt", "$lte"))
    itself = name in ("$gte", "$lte")
    return lambda value: itself if value is not MISSING and encode(value) == bound else others


_ORDERED: dict[str, Ordered] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def one_of(name: str, argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """``$in``: equal to one of the values, or matched by one of the regexes among them."""
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, f"{name} needs an array")
    for item in argument:
        document = as_document(item)
        first = next(iter(document), "") if document else ""
        if first.startswith("$") and first not in REFERENCE_FIELDS:
            raise CommandFailure(2, f"cannot nest $ under {name}")
    patterns = [pattern(regex) for regex in map(as_regex, argument) if regex is not None]
    keys = frozenset(collation.equal(item) for item in argument if as_regex(item) is None)
    missing = bytes((TAG_NULL,)) in keys
    is_one = _among(keys, collation)

    def predicate(value: Any) -> bool:
        if value is MISSING:
            return missing
        return is_one(value) or any(match(value) for match in patterns)

    return Leaf(predicate)


def _among(keys: Collection[bytes], collation: Collation) -> Predicate:
    if collation is SIMPLE:
        return lambda value: encode(value) in keys
    tags = frozenset(key[0] for key in keys)
    return lambda value: encode(value)[0] in tags and collation.equal(value) in keys


def not_one_of(name: str, argument: Any, collation: Collation = SIMPLE) -> Not:
    """``$nin``: no value is among them."""
    return Not(one_of(name, argument, collation))


def _refuse_regex(name: str, argument: Any) -> None:
    if as_regex(argument) is not None:
        raise CommandFailure(2, f"Can't have RegEx as arg to predicate over field with {name}.")


def plain(value: Any, collation: Collation = SIMPLE) -> Test:
    """What a field's bare value in a filter means: a regex matches, everything else is equality."""
    regex: Regex[Any] | None = as_regex(value)
    return equal(value, collation) if regex is None else Leaf(pattern(regex))
