"""A write, where legacy is the authority: first the mark, then the write, then the sync.

The outcome of the write decides what happens to its marks. A definite refusal drops them. An outcome that nobody knows
(a time-out, a lost connection, a cancellation) leaves them unsettled: synced at once and again, and closed only after
the settling time, because the write may be applied later than any read that a sync makes now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from shadow.protocol.handle import Handle
from shadow.protocol.lane import Lane
from shadow.protocol.marks import UNSET, Held
from shadow.protocol.view import View
from shadow_adapters.contract import Key, Record

T = TypeVar("T")


class Fate(Enum):
    """What an exception says of the write that raised it."""

    NOTHING = "nothing"  # definitely refused: nothing was changed
    SOME = "some"  # definitely over: something may have been changed
    UNKNOWN = "unknown"  # may still be applied


@dataclass(slots=True)
class Spent:
    """What of a write's time went into its mark and into awaiting its sync, in seconds; None where there was none."""

    mark: float | None = None
    sync: float | None = None


@dataclass(slots=True)  # not frozen, which would cost each write three times as much
class Write(Generic[T]):
    """One write on legacy.

    Attributes:
        keys: the records that it touches; None is one that the server chooses.
        apply: makes the write, and answers what the caller gets.
        fate: what an exception of ``apply`` means.
        named: the key in place of each None, from the result; None where nothing was changed.
        nameless: nobody will name the keys in place of None, so that the mark becomes a debt once the write is over.
        changed: False where the result proves that nothing was changed.
        records: the records after the write, where it fixes them.
        acknowledged: False where nobody learns the outcome (w:0).
        spent: filled with what the parts of the write took.
        rehearse: tries the write on new before the sync that follows it, where the keys were in sync; never raises.
    """

    keys: Sequence[Key | None]
    apply: Callable[[], Awaitable[T]]
    fate: Callable[[BaseException], Fate]
    named: Callable[[T], Key | None] = lambda _: None
    nameless: bool = False
    changed: Callable[[T], bool] = lambda _: True
    records: Mapping[Key, Record | None] | None = None
    acknowledged: bool = True
    spent: Spent = field(default_factory=Spent)
    rehearse: Callable[[T, Sequence[Held]], Coroutine[None, None, None]] | None = None


async def write(lane: Lane, handle: Handle, view: View, call: Write[T]) -> T:
    """Run a write under ``view``; the caller has entered and leaves the handle.

    Raises whatever ``call.apply`` raises.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    marks = await lane.marker.mark(handle.view, call.keys)
    marked_at = clock()
    call.spent.mark = marked_at - began
    try:
        result = await call.apply()
    except BaseException as error:
        fate = call.fate(error)
        _failed(lane, marks, fate)
        if fate is Fate.SOME and handle.view().awaits:  # what was applied is told with the error, so reads must see it
            await lane.synced(marks, until=marked_at + lane.terms.sync_timeout)
        raise
    if not call.acknowledged:
        _failed(lane, marks, Fate.UNKNOWN)
        return result
    if not call.changed(result):
        lane.drop(marks)
        return result
    awaits = handle.view().awaits
    deadline = marked_at + lane.terms.sync_timeout if awaits else marked_at
    owing = await _settled(lane, marks, call, result, deadline)
    if awaits:
        began = clock()
        await lane.synced(owing, until=deadline)
        call.spent.sync = clock() - began
    elif call.rehearse is not None and all(held.writes == 1 and lane.book.alone(held) for held in owing):
        lane.enqueue_after(call.rehearse(result, owing), owing)
    else:
        lane.enqueue(owing)
    return result


async def _settled(lane: Lane, marks: Sequence[Held], call: Write[T], result: T, deadline: float) -> list[Held]:
    """Settle the marks; returns those that a sync must close."""
    records = call.records or {}
    owing = [held for held in marks if held.key is not None]
    for held in owing:
        lane.book.settle(held, UNSET if held.key is None else records.get(held.key, UNSET))
    for held in marks:
        if held.key is None and call.nameless:
            lane.book.unsettle(held, 0.0)
            owing.append(held)
        elif held.key is None:
            key = call.named(result)
            if key is None:
                lane.drop([held])
            elif await lane.named(held, key, deadline):
                owing.append(held)
    return owing


def _failed(lane: Lane, marks: Sequence[Held], fate: Fate) -> None:
    if fate is Fate.NOTHING:
        lane.drop(marks)
        return
    until = lane.settled_at() if fate is Fate.UNKNOWN else 0.0
    for held in marks:
        lane.book.unsettle(held, until)
    lane.enqueue(marks)
