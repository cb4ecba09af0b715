"""Reads: which store answers, and what is asked of the other one afterwards."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import bson

from shadow.compare.worker import Comparison, outcome
from shadow.ops.base import Op, ReadOp
from shadow.ops.find import FindOp
from shadow.protocol import reads
from shadow.protocol.view import View
from shadow.router.answers import driver_exception, promise, unsupported_in
from shadow.router.cursor import NewCursor, Opened
from shadow.runtime.entity import Entity
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Fence, Key
from shadow_adapters.failures import CommandFailure, OutcomeUnknown, StoreDown
from shadow_flags.buckets import bucket
from shadow_flags.phases import PHASES, Store

R = TypeVar("R")


class Answered(NamedTuple, Generic[R]):
    """An answer, and where it came from."""

    value: R
    store: str
    phase: str
    mark_seconds: float | None = None
    sync_seconds: float | None = None


async def read(here: LoopEntity, loop: Loop, op: ReadOp[R]) -> Answered[R]:
    """Answer a read. Raises the driver's own exceptions."""
    if op.unit is not None:
        inside: Answered[R] = await op.unit.read(op)
        return inside
    entity = here.entity
    key, at = _place(entity, op)
    try:
        value, store, view = await reads.read(
            here.handle,
            loop.node.terms,
            wants_new=lambda view: PHASES[entity.routes(view).phases[at]].reads is Store.NEW,
            on_new=lambda fence: on_new(loop, entity, op, fence),
            on_legacy=op.on_legacy,
        )
    except (StoreDown, OutcomeUnknown) as error:
        raise driver_exception(error) from error
    compare(here, loop, op, view, at, key, store, value)
    return Answered(value, store, view.phase)


async def on_new(loop: Loop, entity: Entity, op: Op[R], fence: Fence | None) -> R:
    """Run an operation's command on PostgreSQL. Raises the driver's own exceptions for the store's answers.

    While legacy could serve it, a command that new does not serve is legacy's (`StoreDown`), counted by name.
    """
    async with loop.pool.connection() as conn:
        reply = await entity.engine.execute(conn, op.command(), fence=fence)
    named = unsupported_in(reply)
    if named is not None:
        entity.count_unsupported(named)
        if fence is not None and fence.stale_after is not None:
            raise StoreDown(f"new does not serve {named}")
    return op.result(reply)


def compare(
    here: LoopEntity, loop: Loop, op: ReadOp[R], view: View, at: int, key: Key | None, store: Store, value: R
) -> None:
    """Ask the other store the same, off the caller's path, if this read is sampled."""
    entity = here.entity
    if not PHASES[entity.routes(view).phases[at]].shadow_reads or not entity.sampled():
        return
    observed = functools.partial(op.observed, value)
    _submit(here, loop, op, view, key, store, observed(), entity)


def _submit(
    here: LoopEntity, loop: Loop, op: Any, view: View, key: Key | None, store: Store, observed: Any, entity: Entity
) -> None:
    async def legacy() -> Any:
        return op.observed(await op.on_legacy())

    async def new() -> Any:
        async with loop.pool.connection() as conn:
            reply = await entity.engine.execute(conn, op.command())
        named = unsupported_in(reply)
        if named is not None:
            entity.count_unsupported(named)
            raise CommandFailure(reply.get("code", 2), "not served", unsupported=named)
        return op.observed(op.result(reply))

    async def again() -> tuple[Any, Any]:
        first, second = (legacy, new) if view.authority is Store.LEGACY else (new, legacy)
        return await outcome(first), await outcome(second)

    here.comparer.submit(
        Comparison(
            op=op.name,
            call=promise(op.command(), key is not None),
            key=key,
            sampled_at=asyncio.get_running_loop().time(),
            answer=observed,
            by_authority=store is view.authority,
            asked="new" if store is Store.LEGACY else "legacy",
            ask=new if store is Store.LEGACY else legacy,
            reread=again,
            size=_size(observed),
        )
    )


def _size(observed: Any) -> int:
    """About what a comparison holds in memory, in bytes."""
    try:
        return len(bson.encode({"": observed}))
    except (bson.errors.InvalidDocument, OverflowError):
        return 1024


def _place(entity: Entity, op: Any) -> tuple[Key | None, int]:
    """The key that a read names, if it names one, and its bucket; a query has that of its own normalized text."""
    named = op.id()
    if named is not None:
        key = key_of(named.id)
        return key, bucket(entity.flag, key)
    command = op.command()
    text = bson.encode({"q": command.get("filter") or command.get("pipeline"), "s": command.get("sort")})
    return None, bucket(entity.flag, text)


async def open_cursor(here: LoopEntity, loop: Loop, op: FindOp) -> Opened:
    """Choose a cursor's store, and open it there if that is new."""
    if op.unit is not None:
        opened: Opened = await op.unit.open(op)
        return opened
    entity = here.entity
    key, at = _place(entity, op)

    async def new(fence: Fence | None) -> NewCursor | None:
        return await NewCursor.open(loop.pool, entity.engine, op.command(), fence)

    async def legacy() -> NewCursor | None:
        return None

    try:
        cursor, store, view = await reads.read(
            here.handle,
            loop.node.terms,
            wants_new=lambda view: PHASES[entity.routes(view).phases[at]].reads is Store.NEW,
            on_new=new,
            on_legacy=legacy,
        )
    except (StoreDown, OutcomeUnknown) as error:
        raise driver_exception(error) from error
    except CommandFailure as failure:
        if failure.unsupported is not None:
            entity.count_unsupported(failure.unsupported)
            if here.handle.view().authority is Store.LEGACY:
                return Opened(None, None)
        raise
    return Opened(cursor, _observer(here, loop, op, view, at, key, store))


def _observer(
    here: LoopEntity, loop: Loop, op: FindOp, view: View, at: int, key: Key | None, store: Store
) -> Callable[[Any, bool], None] | None:
    """Takes what a cursor delivered; only whole answers are compared."""
    entity = here.entity
    if not PHASES[entity.routes(view).phases[at]].shadow_reads or not entity.sampled():
        return None

    def observe(documents: Any, complete: bool) -> None:
        if complete:
            _submit(here, loop, op, view, key, store, list(documents), entity)

    return observe
