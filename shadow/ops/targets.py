"""Which records a statement touches, and how it is narrowed to records that were found.

A *statement* is an entry of ``updates`` or ``deletes`` in the wire's form. Narrowing adds ``_id`` beside what the
filter says and takes nothing away: a record that stopped matching meanwhile is not touched.

Under a collation a text stands for all that are equal to it, so that an ``_id`` that is one is named by a pattern,
which no collation is about.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex

from shadow.ops.base import Bound, Chosen, Document, Many, Named, Target
from shadow_adapters.bson.collation import has_text
from shadow_adapters.bson.expression import evaluate_let
from shadow_adapters.bson.match import compile_filter, equality_id
from shadow_adapters.bson.update import check_update, upsert_seed
from shadow_adapters.failures import CommandFailure


def fixed_id(filter: Document, collation: Any = None) -> Named | None:
    """The ``_id`` that a filter in the wire's form fixes by equality.

    Under a collation a string stands for all that are equal to it, so that nothing is fixed.
    """
    if collation is not None:
        return None
    fixed, value = equality_id(filter)
    return Named(value) if fixed else None


def plain_id(filter: Any) -> Named | None:
    """The ``_id`` of a filter as it is called with that says nothing else, where its type means the same under every
    codec options: the shortest way to the key of most calls."""
    if type(filter) is not dict or len(filter) != 1:
        return None
    value: Any = filter.get("_id")
    kind = type(value)
    if kind is ObjectId or (kind is str and _encodes(value)):
        return Named(value)
    return Named(value) if kind in (int, Int64) and -(1 << 63) <= value < 1 << 63 else None


def _encodes(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def target_of(statement: Mapping[str, Any], let: Any = None) -> Target:
    """The target of one statement of an update or delete command."""
    filter, collation, hint = statement["q"], statement.get("collation"), statement.get("hint")
    named = fixed_id(filter, collation)
    if named is not None:
        return named
    upsert = bool(statement.get("upsert"))
    upsert_id = given_id(statement, let) if upsert else None
    if statement.get("multi") or statement.get("limit") == 0:
        return Many(filter, collation, upsert, hint, upsert_id, let)
    return Chosen(filter, statement.get("sort"), collation, upsert, hint, upsert_id, let)


def given_id(statement: Mapping[str, Any], let: Any = None) -> Named | None:
    """The ``_id`` that an upsert's own update, replacement or pipeline gives to a new record.

    ``let``: the variables that a pipeline may use.
    """
    update = statement["u"]
    if not isinstance(update, Mapping):
        return _computed_id(statement, let)
    for fields in (update, update.get("$setOnInsert"), update.get("$set")):
        if isinstance(fields, Mapping) and "_id" in fields:
            return Named(fields["_id"])
    return None


def _computed_id(statement: Mapping[str, Any], let: Any) -> Named | None:
    """The ``_id`` that a pipeline makes of what the filter says. What is a mistake is left to the server."""
    now = DatetimeMS(int(time.time() * 1000))
    try:
        variables = evaluate_let(let, {"NOW": now})
        compile_filter(statement["q"], variables)
        change = check_update(statement["u"], (), variables, statement.get("c"))
        made = change.apply(upsert_seed(statement["q"]), inserting=True, now=now)
    except CommandFailure:
        return None
    return Named(made["_id"]) if "_id" in made else None


def narrowed(filter: Document, target: Target, bound: Bound) -> Document:
    """The caller's filter, narrowed to what its target came to.

    A new record gets its ``_id`` from here too: an upsert takes the fields that its filter fixes by equality.
    """
    if isinstance(target, Named):
        return filter
    if bound.has_upsert_id:
        return _with_id(filter, bound.upsert_id)
    ids = [_itself(id, target) for id in bound.ids]
    return _with_id(filter, ids[0] if len(ids) == 1 else {"$in": ids})


def can_narrow(id: Any, target: Target) -> bool:
    """Whether a filter can name this ``_id`` and no other one. Under a collation it cannot where texts are inside."""
    if isinstance(target, Named) or target.collation is None:
        return True
    return "\0" not in id if isinstance(id, str) else not has_text(id)


def _itself(id: Any, target: Chosen | Many) -> Any:
    if target.collation is None or not isinstance(id, str):
        return id
    return Regex(f"^{re.escape(id)}(?![\\s\\S])")


def may_insert(upsert: bool, target: Target, bound: Bound) -> bool:
    """Whether a bound upsert may still insert. One whose record was found must not: it would make that one anew."""
    return upsert and (isinstance(target, Named) or bound.has_upsert_id)


def _with_id(filter: Document, id: Any) -> Document:
    if "_id" in filter:
        return {"$and": [filter, {"_id": id}]}
    return {**filter, "_id": id}
