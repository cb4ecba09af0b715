"""``$eq $ne $gt $gte $lt $lte $in $nin``: comparing with a value, within its type.

Values are compared by their byte keys, which a collation makes of texts. A comparison with a value of another type is
false (type bracketing), except that missing counts as null, and that MinKey and MaxKey are comparable with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from bson.regex import Regex

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.keys import NAN, TAG_MAX_KEY, TAG_MIN_KEY, TAG_NULL, TAG_NUMBER, encode
from shadow_adapters.bson.match.regex import as_regex, pattern
from shadow_adapters.bson.match.test import Leaf, Not, Test
from shadow_adapters.bson.paths import MISSING, REFERENCE_FIELDS, Predicate, as_document
from shadow_adapters.failures import CommandFailure

Ordered = Callable[[bytes, bytes], bool]


def equal(argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """Equality with a value; with null also for a missing field."""
    key = collation.equal(argument)
    if key[0] == TAG_NULL:
        return Leaf(lambda value: value is None or value is MISSING)
    if collation is not SIMPLE:
        return Leaf(lambda value: _of_type(value, key[0]) and collation.equal(value) == key)
    if type(argument) is str:
        return Leaf(lambda value: value == argument if type(value) is str else _has_key(value, key))
    return Leaf(lambda value: _has_key(value, key))


def _of_type(value: Any, tag: int) -> bool:
    """Whether a value has the tag; asked first where a collation may not be able to tell of a text."""
    return value is not MISSING and encode(value)[0] == tag


def _has_key(value: Any, key: bytes) -> bool:
    return value is not MISSING and encode(value) == key


def not_equal(argument: Any, collation: Collation = SIMPLE) -> Not:
    """``$ne``: no value is equal."""
    _refuse_regex("$ne", argument)
    return Not(equal(argument, collation))


def ordered(operator: str, argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """``$gt $gte $lt $lte``: a value of the same type, on the right side of the argument."""
    _refuse_regex(operator, argument)
    key = collation.order(argument)
    if key[0] == TAG_NULL or key == NAN:  # neither has anything below or above it of its kind
        return equal(argument) if operator in ("$gte", "$lte") else Leaf(lambda _: False)
    if key[0] in (TAG_MIN_KEY, TAG_MAX_KEY):
        return Leaf(_beyond(operator, key))
    return Leaf(_bracketed(_ORDERED[operator], key, collation))


def _bracketed(holds: Ordered, bound: bytes, collation: Collation) -> Predicate:
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

    return predicate


def _beyond(operator: str, bound: bytes) -> Predicate:
    """Comparison with MinKey or MaxKey: everything else, missing too, is above the one and below the other."""
    others = operator in (("$gt", "$gte") if bound[0] == TAG_MIN_KEY else ("$lt", "$lte"))
    itself = operator in ("$gte", "$lte")
    return lambda value: itself if value is not MISSING and encode(value) == bound else others


_ORDERED: dict[str, Ordered] = {
    "$gt": bytes.__gt__,
    "$gte": bytes.__ge__,
    "$lt": bytes.__lt__,
    "$lte": bytes.__le__,
}


def one_of(operator: str, argument: Any, collation: Collation = SIMPLE) -> Leaf:
    """``$in``: equal to one of the values, or matched by one of the regexes among them."""
    if not isinstance(argument, list | tuple):
        raise CommandFailure(2, f"{operator} needs an array")
    for item in argument:
        document = as_document(item)
        first = next(iter(document), "") if document else ""
        if first.startswith("$") and first not in REFERENCE_FIELDS:
            raise CommandFailure(2, f"cannot nest $ under {operator}")
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


def not_one_of(operator: str, argument: Any, collation: Collation = SIMPLE) -> Not:
    """``$nin``: no value is among them."""
    return Not(one_of(operator, argument, collation))


def _refuse_regex(operator: str, argument: Any) -> None:
    if as_regex(argument) is not None:
        raise CommandFailure(2, f"Can't have RegEx as arg to predicate over field with {operator}.")


def plain(value: Any, collation: Collation = SIMPLE) -> Test:
    """What a field's bare value in a filter means: a regex matches, everything else is equality."""
    regex: Regex[Any] | None = as_regex(value)
    return equal(value, collation) if regex is None else Leaf(pattern(regex))
