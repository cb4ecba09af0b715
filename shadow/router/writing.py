"""Writes: on legacy inside mark, write, sync; on new in one fenced statement, marked by its outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shadow.ops.base import LedByNew, WriteOp
from shadow.ops.replies import driver_error
from shadow.protocol.reads import behind, write_fence
from shadow.protocol.view import View
from shadow.protocol.writes import Fate, Spent, Write
from shadow.protocol.writes import write as marked_write
from shadow.router.answers import driver_exception
from shadow.router.bind import Plan, named_keys, plan
from shadow.router.lapsing import Guard
from shadow.router.mirroring import mirror_once
from shadow.router.reading import Answered, on_new
from shadow.router.rehearsing import rehearsal
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.failures import CommandFailure, EpochMoved, OutcomeUnknown, StoreDown
from shadow_adapters.mongo.outcomes import Outcome, outcome_of
from shadow_flags.phases import Store

R = TypeVar("R")

_ATTEMPTS = 5
FATES = {Outcome.NOTHING: Fate.NOTHING, Outcome.SOME: Fate.SOME, Outcome.UNKNOWN: Fate.UNKNOWN}
"""What a driver's error means to the protocol."""


async def write(here: LoopEntity, loop: Loop, op: WriteOp[R]) -> Answered[R]:
    """Make a write where the authority is. Raises the driver's own exceptions."""
    if op.unit is not None:
        inside: Answered[R] = await op.unit.write(op)
        return inside
    while True:
        guard = Guard(here)
        try:
            view = await here.handle.enter()
        except StoreDown as error:
            raise driver_exception(error) from error
        later = False
        try:
            if view.authority is Store.NEW:
                value = await on_new(loop, here.entity, op, write_fence(view))
                if view.follows:
                    await loop.lane.follow(view, named_keys(op.targets()))
                return Answered(value, "new", view.phase)
            guard.write()
            if not view.marks:
                return Answered(await op.on_legacy(), "legacy", view.phase)
            spent = Spent()
            value = await _marked(here, loop, view, op, spent, guard)
            return Answered(value, "legacy", view.phase, spent.mark, spent.sync)
        except EpochMoved:
            pass
        except (StoreDown, OutcomeUnknown) as error:
            raise driver_exception(error) from error
        except BaseException as error:
            later = not view.marks and view.authority is Store.LEGACY and outcome_of(error) is Outcome.UNKNOWN
            raise
        finally:
            if later:
                here.handle.leave_later(view)
            else:
                here.handle.leave(view)
        await behind(here.handle, view, loop.node.terms)


async def _marked(here: LoopEntity, loop: Loop, view: View, op: WriteOp[R], spent: Spent, guard: Guard) -> R:
    """The write inside the protocol; looked up again where the one record that it chose was lost meanwhile."""
    mirror_once(here, loop)
    for attempt in range(_ATTEMPTS):
        prepared = await plan(op, loop.node.terms.many_limit)
        if prepared.too_many:
            return await nameless(here, loop, view, guard.writing(op.on_legacy))
        result = await marked_write(loop.lane, here.handle, view, _call(here, loop, view, prepared, spent, guard))
        if prepared.exact or not prepared.keys or not prepared.op.missed(result) or attempt == _ATTEMPTS - 1:
            return result
    raise AssertionError("unreachable: the last attempt returns")


def _call(here: LoopEntity, loop: Loop, view: View, prepared: Plan[R], spent: Spent, guard: Guard) -> Write[R]:
    op, keys = prepared.op, prepared.keys

    def fate(error: BaseException) -> Fate:
        outcome = outcome_of(error)
        partly = outcome is Outcome.NOTHING and len(keys) > 1
        return Fate.SOME if partly else FATES[outcome]

    return Write(
        keys=keys,
        apply=guard.writing(op.on_legacy),
        fate=fate,
        changed=op.changed,
        records=op.whole(),
        acknowledged=op.acknowledged,
        spent=spent,
        rehearse=rehearsal(here, loop, view, op, keys),
    )


async def nameless(here: LoopEntity, loop: Loop, view: View, apply: Callable[[], Awaitable[R]]) -> R:
    """A write whose keys nobody names: a keyless mark covers it while it runs, and becomes a debt when it is over.

    A debt alone would not do: it might be paid while the write, or the process, is held up.
    """

    def fate(error: BaseException) -> Fate:
        return Fate.UNKNOWN if outcome_of(error) is Outcome.UNKNOWN else Fate.SOME

    return await marked_write(loop.lane, here.handle, view, Write([None], apply, fate, nameless=True))


async def unserved(here: LoopEntity, loop: Loop, name: str, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
    """A method that only legacy serves. A write among them leaves a debt; where new is the authority it is refused."""
    try:
        return await on_legacy(here, loop, writes, call)
    except LedByNew as error:
        text = (
            f"{name} is not served by PostgreSQL yet, and {here.entity.name} is in phase {error.args[0]}: "
            "step back to read_new, or use a served method"
        )
        raise driver_error(CommandFailure(115, text, unsupported=name)) from None


async def on_legacy(here: LoopEntity, loop: Loop, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
    """What the driver does with a collection of itself; a write names no key. Raises `LedByNew` with the phase."""
    guard = Guard(here)
    try:
        view = await here.handle.enter()
    except StoreDown as error:
        raise driver_exception(error) from error
    try:
        if view.authority is Store.NEW:
            raise LedByNew(view.phase)
        if not writes:
            return await guard.reading(call)()
        guard.write()
        if view.marks:
            return await nameless(here, loop, view, guard.writing(call))
        return await call()
    finally:
        here.handle.leave(view)
