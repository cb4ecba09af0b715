"""Reads: which store answers, and what is asked of the other one afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import bson

from shadow.compare.kinds import RECORD, Call
from shadow.compare.worker import Comparison, Together, outcome
from shadow.ops.aggregate import AggregateOp
from shadow.ops.base import Op, ReadOp
from shadow.ops.cursor import CursorRead
from shadow.protocol import reads
from shadow.protocol.view import View
from shadow.router.answers import driver_exception, promise, unsupported_in
from shadow.router.company import Company
from shadow.router.cursor import NewCursor, Opened
from shadow.router.lapsing import Guard
from shadow.router.monitoring import heard
from shadow.router.trial import trial
from shadow.router.waits import latest, lent, timed
from shadow.runtime.asked import Asked
from shadow.runtime.entity import Entity
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.bson.codec import decode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Fence, Key, Record, may_be_legacys
from shadow_adapters.failures import CommandFailure, OutcomeUnknown, StoreDown
from shadow_adapters.postgres.call import Neighbours
from shadow_flags.buckets import bucket, query_bucket
from shadow_flags.phases import PHASES, Rules, Store

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
    place = _Place(entity, op)
    try:
        value, store, view = await reads.read(
            here.handle,
            loop.node.terms,
            wants_new=lambda view: _wants_new(loop, place, view),
            on_new=lambda fence: on_new(loop, entity, op, fence),
            on_legacy=Guard(here).reading(op.on_legacy),
            late=lambda: entity.answers.observe(True),
        )
    except (StoreDown, OutcomeUnknown) as error:
        raise driver_exception(error) from error
    if view.shadows and place.phase(view).shadow_reads and entity.sampled():
        _observe(here, loop, op, view, place.key, store, value)
    return Answered(value, store, view.phase)


async def on_new(loop: Loop, entity: Entity, op: Op[R], fence: Fence | None) -> R:
    """Run an operation's command on PostgreSQL. Raises the driver's own exceptions for the store's answers.

    While legacy could serve it, a command that new does not serve is legacy's (`StoreDown`), counted by name.
    """
    one = op.record_id() if isinstance(op, ReadOp) else None
    command = {} if one is not None else op.command()
    if one is None and isinstance(op, ReadOp):
        command = timed(op.patience, command)
    until = latest(op.patience, command)
    with heard(op, fence) as listening, Asked(entity.answers):
        async with loop.pool.connection() if until is None else lent(loop.pool, until) as conn:
            if one is not None and isinstance(op, ReadOp):
                record = await entity.engine.find_record(conn, key_of(one.id), fence)
                answer: R = op.of_record(record)
                listening.record(record)
                return answer
            reply = await entity.engine.execute(conn, command, fence=fence)
    named = unsupported_in(reply)
    if named is not None:
        entity.count_unsupported(named)
        if may_be_legacys(fence):
            raise StoreDown(f"new does not serve {named}")
    listening.answered(reply)
    return op.result(reply)


def _wants_new(loop: Loop, place: _Place, view: View) -> bool:
    """Whether the route asks for new, and PostgreSQL may vouch for it: not once this process's own lease has lapsed."""
    return place.phase(view).reads is Store.NEW and not loop.node.membership.surely_lapsed()


def _observe(here: LoopEntity, loop: Loop, op: Any, view: View, key: Key | None, store: Store, value: Any) -> None:
    """Keep what the caller got, before it can be changed, and compare it."""
    one = op.record_id()
    try:
        kept = op.observed(value) if one is None else op.as_record(value)
    except Exception:  # types of the caller's own may have no way back to BSON
        here.comparer.unobservable()
    else:
        together = None if one is None else _together(here, loop, store)
        call = RECORD if together else promise(op, key is not None)
        assert call is not None  # a read that answers at once promises something
        _submit(here, loop, op, view, key, store, kept, call, together)


def _together(here: LoopEntity, loop: Loop, store: Store) -> Together:
    """How the store that did not answer is asked for many records."""
    if store is Store.NEW:
        return loop.store(here.entity.name).read

    async def new(keys: Sequence[Key]) -> Mapping[Key, Record]:
        async with loop.pool.connection() as conn:
            return await here.entity.engine.find_records(conn, keys)

    return new


def _submit(
    here: LoopEntity,
    loop: Loop,
    op: Any,
    view: View,
    key: Key | None,
    store: Store,
    observed: Any,
    call: Call,
    together: Together | None = None,
) -> None:
    """Ask the other store the same, off the caller's path."""
    entity = here.entity

    async def legacy() -> Any:
        return op.observed(await op.on_legacy())

    async def new() -> Any:
        async with loop.pool.connection() as conn:
            if together is not None and key is not None:
                record = await entity.engine.find_record(conn, key)
                return None if record is None else decode(record)
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
            call=call,
            key=key,
            sampled_at=asyncio.get_running_loop().time(),
            answer=observed,
            by_authority=store is view.authority,
            asked="new" if store is Store.LEGACY else "legacy",
            ask=new if store is Store.LEGACY else legacy,
            reread=again,
            size=len(observed) if isinstance(observed, bytes) else _size(observed),
            command=op.command,
            together=together,
        )
    )


def _size(observed: Any) -> int:
    """About what a comparison holds in memory, in bytes."""
    try:
        return len(bson.encode({"": observed}))
    except (bson.errors.InvalidDocument, OverflowError):
        return 1024


class _Place:
    """Where a read belongs: the key that it names, if it names one, and its bucket. Worked out where a route is asked.

    A query over many keys has the bucket of its own normalized text, so that it always goes the same way.
    """

    __slots__ = ("_bucket", "_entity", "_op", "key")

    def __init__(self, entity: Entity, op: Any) -> None:
        self._entity = entity
        self._op = op
        self._bucket: int | None = None
        self.key: Key | None = None  # known once a route was asked

    def phase(self, view: View) -> Rules:
        """The rules of the phase that the read's bucket may use under a view."""
        if self._bucket is None:
            self._bucket = self._find()
        return PHASES[self._entity.routes(view).phases[self._bucket]]

    def _find(self) -> int:
        named = self._op.id()
        if named is not None:
            self.key = key_of(named.id)
            return bucket(self._entity.flag, self.key)
        command = self._op.command()
        asked = command.get("filter") or command.get("pipeline") or command.get("query")
        text = bson.encode({"q": asked, "s": command.get("sort")})
        return query_bucket(self._entity.flag, text)


async def open_cursor(here: LoopEntity, loop: Loop, op: CursorRead, company: Company) -> Opened:
    """Choose a cursor's store, and open it there if that is new."""
    if op.unit is not None:
        opened: Opened = await op.unit.open(op)
        return opened
    entity = here.entity
    place = _Place(entity, op)

    async def new(fence: Fence | None) -> NewCursor | None:
        async def read(neighbours: Neighbours) -> NewCursor:
            return await _open_on_new(loop, entity, op, fence, neighbours)

        authority = Store.LEGACY if may_be_legacys(fence) else Store.NEW
        return await company.on_new(authority, read)

    async def legacy() -> NewCursor | None:
        return await company.on_legacy(_nothing)

    try:
        cursor, store, view = await reads.read(
            here.handle,
            loop.node.terms,
            wants_new=lambda view: _wants_new(loop, place, view),
            on_new=new,
            on_legacy=Guard(here).reading(legacy),
            late=lambda: entity.answers.observe(True),
        )
    except (StoreDown, OutcomeUnknown) as error:
        raise driver_exception(error) from error
    except CommandFailure as failure:
        if failure.unsupported is not None:
            entity.count_unsupported(failure.unsupported)
        raise
    if store is Store.LEGACY and view.shadows and isinstance(op, AggregateOp) and entity.sampled():
        trial(here, loop, op, company)
    return Opened(cursor, _observer(here, loop, op, view, place, store))


async def _nothing() -> None:
    """What the driver's own cursor needs of the router."""


async def _open_on_new(
    loop: Loop, entity: Entity, op: CursorRead, fence: Fence | None, neighbours: Neighbours
) -> NewCursor:
    """A cursor on PostgreSQL; a command that new does not serve is legacy's as long as it can be, as in `on_new`."""
    try:
        with Asked(entity.answers):
            lapsed = loop.node.membership.surely_lapsed if may_be_legacys(fence) else None
            return await NewCursor.open(loop.pool, entity.engine, op, fence, neighbours, lapsed)
    except CommandFailure as failure:
        if failure.unsupported is None or not may_be_legacys(fence):
            raise
        entity.count_unsupported(failure.unsupported)
        raise StoreDown(f"new does not serve {failure.unsupported}") from failure


def _observer(
    here: LoopEntity, loop: Loop, op: CursorRead, view: View, place: _Place, store: Store
) -> Callable[[Any, bool], None] | None:
    """Takes what a cursor delivered; only whole answers are compared."""
    if not view.shadows or not place.phase(view).shadow_reads or not here.entity.sampled():
        return None
    call = promise(op, place.key is not None)
    if call is None:
        return None

    def observe(documents: Any, complete: bool) -> None:
        if documents is None:
            here.comparer.unobservable()
        elif complete:
            _submit(here, loop, op, view, place.key, store, list(documents), call)

    return observe
