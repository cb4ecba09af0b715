"""Finds the keys that a write touches, on legacy, before it is made (rule 12).

A filter names no key, and a mark needs one. So the records that the filter matches are looked up first, and the write
is narrowed to them: ``_id`` is added beside what the filter says, which stays as it is. A record that stopped matching
meanwhile is not touched; where a single record was chosen and lost this way, the look-up is made again.

Above the limit of keys the entity gets one debt instead, and the write runs as the caller wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bson import ObjectId
from pymongo import ReadPreference
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from shadow.ops.base import Bound, Chosen, Many, Named, Target, WriteOp
from shadow.ops.targets import can_narrow
from shadow_adapters.bson.codec import CODEC
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key

R = TypeVar("R")


@dataclass(slots=True)  # not frozen, which would cost each write three times as much
class Plan(Generic[R]):
    """A write that is ready to be marked and made.

    Attributes:
        op: the write, narrowed.
        keys: what it may touch.
        exact: every target named its record itself, so that nothing can be lost between look-up and write.
        too_many: more keys match than are marked one by one, or a filter cannot name them; ``op`` is the caller's own.
    """

    op: WriteOp[R]
    keys: tuple[Key, ...]
    exact: bool
    too_many: bool = False


def named_keys(targets: Sequence[Target]) -> tuple[Key, ...]:
    """The keys of those targets that name their record, each once."""
    return tuple(dict.fromkeys(key_of(target.id) for target in targets if isinstance(target, Named)))


async def plan(op: WriteOp[R], limit: int) -> Plan[R]:
    """Resolve the targets of a write. Raises what the driver raises for the look-ups."""
    targets = op.targets()
    if all(isinstance(target, Named) for target in targets):
        return Plan(op, named_keys(targets), exact=True)
    bound = []
    found: list[Key] = []
    for target in targets:
        try:
            ids = await _resolve(op, target, limit + 1 - len(found))
        except OperationFailure:  # the write will be refused too, in words and with an error of its own
            return Plan(op, (), exact=False, too_many=True)
        if len(found) + len(ids.ids) > limit or not all(can_narrow(each, target) for each in ids.ids):
            return Plan(op, (), exact=False, too_many=True)
        bound.append(ids)
        found += [key_of(each) for each in ids.ids]
        if ids.has_upsert_id:
            found.append(key_of(ids.upsert_id))
    return Plan(op.bind(bound), tuple(dict.fromkeys(found)), exact=False)


async def _resolve(op: Any, target: Target, limit: int) -> Bound:
    if isinstance(target, Named):
        return Bound(ids=(target.id,))
    ids = await _matching(op, target, 1 if isinstance(target, Chosen) else limit)
    if ids or not target.upsert:
        return Bound(ids=tuple(ids))
    given = target.upsert_id
    return Bound(upsert_id=ObjectId() if given is None else given.id, has_upsert_id=True)


async def _matching(op: Any, target: Chosen | Many, limit: int) -> Sequence[Any]:
    collection = op.driver.collection.with_options(
        codec_options=CODEC, read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("local")
    )
    options = {"collation": target.collation, "hint": target.hint, "let": target.let}
    options["comment"] = op.options.get("comment")
    if isinstance(target, Chosen) and target.sort:
        options["sort"] = list(dict(target.sort).items())
    given = {name: value for name, value in options.items() if value is not None}
    cursor = collection.find(target.filter, {"_id": 1}, limit=limit, session=op.session, **given)
    return [document["_id"] for document in await cursor.to_list(limit)]
