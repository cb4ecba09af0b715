"""Marks before writes: at most one round trip, concurrent writers' marks in one statement.

Those who come while a statement is under way share the next one.

Where PostgreSQL is slow or away (rule 6), a mark of a background phase gets a small time budget and then goes to the
journal; after three misses in a row straight there, until a renewal has reached PostgreSQL again. Where a write awaits
its sync (rule 10), others may be reading new: the mark must be where they see it, so the write is held until this
process's own lease has surely lapsed, and with it everybody else's trust in new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from shadow.protocol.journal import Journal
from shadow.protocol.marks import Held, MarkBook
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.contract import Control, Key
from shadow_adapters.failures import StoreDown

_MISSES = 3
_RETRY = 0.05


class Standing(Protocol):
    """What a marker needs to know of this process's lease."""

    def surely_lapsed(self) -> bool: ...

    @property
    def renewals(self) -> int: ...


class Marker:
    """Opens marks for one event loop."""

    def __init__(
        self, me: UUID, book: MarkBook, control: Control, journal: Journal, terms: Terms, standing: Standing
    ) -> None:
        self._me = me
        self._book = book
        self._control = control
        self._journal = journal
        self._terms = terms
        self._standing = standing
        self._waiting: list[tuple[list[Held], asyncio.Future[None]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._sending = False
        self._misses = 0
        self._missed_at = -1

    async def mark(self, view: Callable[[], View], keys: Sequence[Key | None]) -> list[Held]:
        """Cover one write of each key (None: keyless). Returns when all marks are recorded.

        ``view`` is asked again while a write is held. If the caller is cancelled, its marks count as never used by a
        write, and stay until a sync closes them.
        """
        now = view()
        visible = now.awaits and not self._standing.surely_lapsed()
        marks = [self._book.cover(now.entity, key, visible=visible) for key in keys]
        unrecorded = [held for held in marks if not held.recorded]
        if unrecorded:
            try:
                await self._record(view, unrecorded)
            except BaseException:
                for held in marks:
                    self._book.abandon(held)
                raise
        return marks

    async def _record(self, view: Callable[[], View], marks: list[Held]) -> None:
        if not view().known:
            # Control has no lease of this process: if it lost the mark in a crash, nobody would know that it was there.
            self._to_journal(view, marks)
            return
        while True:
            try:
                await self._share(view, marks)
                return
            except (StoreDown, TimeoutError):
                self._miss()
            if self._unread(view) and self._to_journal(view, marks):
                return
            await asyncio.sleep(_RETRY)

    def _unread(self, view: Callable[[], View]) -> bool:
        """Whether nobody reads new now who would have to see this process's marks."""
        return not view().awaits or self._standing.surely_lapsed()

    async def _share(self, view: Callable[[], View], marks: list[Held]) -> None:
        """Send the marks with those of others; raises where they are not certainly on control within the budget.

        A statement that is late and shared is not cancelled: its marks are welcome later.
        """
        if self._unread(view):
            if self._away():
                raise StoreDown("PostgreSQL is away")
            budget = self._terms.mark_budget
        else:  # a write that is held looks up often enough to go on as soon as the lease has lapsed
            budget = min(self._terms.sync_timeout, self._terms.lease / 4)
        if self._sender is None and not self._sending:
            await self._send_alone(marks, budget)
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append((marks, turn))
        alarm = loop.call_later(budget, _expire, turn)
        try:
            await turn
        finally:
            alarm.cancel()

    async def _send_alone(self, marks: list[Held], budget: float) -> None:
        """Send marks that came while nothing was under way: without a task, which would cost half a round trip more."""
        self._sending = True
        try:
            await self._send(marks, budget)
        finally:
            self._sending = False
            if self._waiting:
                self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        """Send what waits, and what comes while a statement is under way, in one statement each."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._send([held for marks, _ in batch for held in marks])
            except Exception as error:
                for _, turn in batch:
                    if not turn.done():
                        turn.set_exception(StoreDown(str(error)))
            else:
                for _, turn in batch:
                    if not turn.done():
                        turn.set_result(None)
        self._sender = None

    async def _send(self, marks: Sequence[Held], budget: float | None = None) -> None:
        fresh = [held for held in marks if not held.recorded]
        if fresh:
            await self._control.mark(self._me, [held.as_new() for held in fresh], budget)
        for held in fresh:
            held.recorded = True
        self._misses = 0

    def _to_journal(self, view: Callable[[], View], marks: Sequence[Held]) -> bool:
        """Whether the journal will do: not where others may have begun to read new again, who cannot see it."""
        fresh = [held for held in marks if not held.recorded]
        if view().awaits:
            self._book.date_back(fresh, self._terms.sync_timeout)
        self._journal.append([held.as_new() for held in fresh])
        if not self._unread(view):
            return False  # a renewal was sent meanwhile, perhaps without these
        for held in fresh:
            held.journalled = held.misdated = True
            held.recorded = True
        return True

    def _miss(self) -> None:
        self._misses += 1
        self._missed_at = self._standing.renewals

    def _away(self) -> bool:
        """Three misses in a row, and no renewal has reached PostgreSQL since the last."""
        return self._misses >= _MISSES and self._missed_at == self._standing.renewals


def _expire(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError("the mark took longer than its budget"))
