"""This process's standing in the fleet: its lease, its views, its acknowledgements.

A renewal carries the absolute expiry that it asks for, so that one that arrives late extends nothing. The holder trusts
its lease to have lapsed only past the latest expiry that it ever sent, by the slowest clock that is possible
(`surely_lapsed`), and to be live only before the expiry that was granted last, by the fastest one (`live_spell`).

When the server's generation has changed (a restart may have lost the newest marks), the lease is renewed in the same
transaction that uploads everything this process remembers. A journal is uploaded with any renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from pathlib import Path
from uuid import UUID

from shadow.protocol.handle import Handle
from shadow.protocol.journal import Journal, authors, left_behind
from shadow.protocol.marks import Held, MarkBook
from shadow.protocol.settings import Terms
from shadow.protocol.view import View, view_of
from shadow_adapters.contract import Control, Fleet, ProcessInfo, Upload
from shadow_adapters.failures import StoreDown

Gone = Callable[[ProcessInfo], bool]


class Membership:
    """One process's lease.

    Args:
        folder: where the host's journals lie.
        gone: whether a process of this host is surely gone.
        views: filled with a view for every entity that the fleet knows.
        handles: every entity in every event loop of this process.
    """

    def __init__(
        self,
        me: ProcessInfo,
        control: Control,
        book: MarkBook,
        journal: Journal,
        folder: Path,
        terms: Terms,
        views: MutableMapping[str, View],
        handles: Callable[[], Iterable[Handle]],
        gone: Gone,
    ) -> None:
        self._me = me
        self._control = control
        self._book = book
        self._journal = journal
        self._folder = folder
        self._terms = terms
        self._views = views
        self._handles = handles
        self._gone = gone
        self._sent = self._received = 0.0
        self._lapse = 0.0
        self._granted = self._live_until = 0.0
        self._lapses = self._absences = 0
        self._asked: float | None = None  # the expiry of a renewal that was not answered
        self._acknowledged: dict[str, int] = {}
        self._soon = asyncio.Event()
        self.fleet: Fleet | None = None
        self.renewals = 0

    def surely_lapsed(self) -> bool:
        """Whether no other process can take this one's lease for live any more."""
        return asyncio.get_running_loop().time() >= self._lapse

    def live_spell(self, now: float) -> int | None:
        """Which spell this is of no other process being able to take the lease for lapsed, at the loop time ``now``.

        None: they may. Another number than before: they could meanwhile. The views are as of the spell's beginning, or
        later.
        """
        return self._lapses if now < self._live_until else None

    def known_spell(self, now: float) -> int | None:
        """The same of no other process having accounted for this one by time, the settling time after a lapse."""
        return self._absences if now < self._live_until + self._terms.settle else None

    def lease_age(self) -> float:
        """Seconds since the lease was last renewed; 0 before the first time."""
        return asyncio.get_running_loop().time() - self._received if self.renewals else 0.0

    def server_time(self, now: float) -> float | None:
        """PostgreSQL's clock at the loop time ``now``, or a little earlier; None while it was never told."""
        return None if self.fleet is None else self.fleet.now + (now - self._received) - self._terms.lag

    def held(self, entity: str) -> str | None:
        """Why the breaker holds an entity; None where it does not."""
        state = None if self.fleet is None else self.fleet.entities.get(entity)
        return None if state is None else state.latch

    def hasten(self) -> None:
        """Renew at once, since an entity has appeared. In the control loop."""
        self._soon.set()

    async def run(self) -> None:
        """Join, then renew and acknowledge for ever."""
        while True:
            self._soon.clear()  # before the renewal: what appears while it is under way needs another one
            try:
                await self.renew()
            except (StoreDown, TimeoutError):
                await asyncio.sleep(min(self._terms.renew, 0.2))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace()):
                    await self._soon.wait()

    async def renew(self) -> None:
        """One renewal, with everything that belongs to it. Raises `StoreDown`."""
        async with asyncio.timeout(self._terms.lease):
            asked = self._asked
            fleet = await (self._join() if self.fleet is None else self._extend())
            if asked is not None:
                fleet = await self._extend()  # what was asked for before is about to lapse, or has
        self._adopt(fleet)
        self._vouch(asyncio.get_running_loop().time())
        await self._acknowledge()

    def _vouch(self, now: float) -> None:
        """What was granted counts from when its views are taken; after a gap a new spell begins."""
        self._lapses += now >= self._live_until
        self._absences += now >= self._live_until + self._terms.settle
        self._live_until = self._granted

    async def look(self) -> Fleet:
        """The fleet now; the views of a process that has joined follow it. Raises `StoreDown`."""
        fleet = await self._control.fleet()
        if self.fleet is not None:
            self._adopt(fleet)
        return fleet

    async def goodbye(self) -> None:
        """Leave cleanly: what is still marked is left to the others."""
        upload, upto = self._journal.read()
        remembered = tuple(held.as_new() for held in self._book.remembered())
        await self._control.goodbye(self._me.id, Upload((*upload.marks, *remembered), upload.debts))
        self._journal.truncate(upto)

    async def _join(self) -> Fleet:
        upload, upto = self._journal.read()
        await self._control.ensure(list(self._views))
        sent = asyncio.get_running_loop().time()
        # Lapsed from the start: a join that is applied late must not make a lease that nobody knows of.
        fleet = await self._control.join(self._me, 0.0, upload, ())
        self._returned(sent, fleet, upto, [], [])
        return await self._extend()

    async def _extend(self) -> Fleet:
        assert self.fleet is not None
        if appeared := [entity for entity in list(self._views) if entity not in self.fleet.entities]:
            await self._control.ensure(appeared)
        members = [lease.process for lease in self.fleet.leases] + authors(self._folder)
        gone = list({process.id for process in members if self._seen_gone(process)})
        left, paths = left_behind(self._folder, gone)
        fleet = await self._send(left, gone, self.fleet.generation, [])
        if fleet.generation != self.fleet.generation:
            fleet = await self._send(left, gone, None, self._book.remembered())
        for path in paths:
            path.unlink(missing_ok=True)
        return fleet

    async def _send(
        self, left: Upload, gone: Sequence[UUID], generation: str | None, remembered: Sequence[Held]
    ) -> Fleet:
        assert self.fleet is not None
        closing = self._book.closing()
        # Before the journal is read: who journals after that, in another thread, sees that the lease may be live again.
        sent, expires_at = self._sending(self.fleet)
        mine, upto = self._journal.read()
        marks = (*left.marks, *mine.marks, *(held.as_new() for held in remembered))
        fleet = await self._control.renew(
            self._me.id,
            expires_at,
            Upload(marks, left.debts + mine.debts),
            generation,
            gone,
        )
        self._asked = None
        if generation is None or fleet.generation == generation:
            self._granted = sent + (expires_at - fleet.now) - self._terms.lag
            self._returned(sent, fleet, upto, closing, remembered)
        return fleet

    def _sending(self, fleet: Fleet) -> tuple[float, float]:
        """The loop time, and the expiry to ask for. One that was asked for in vain is asked for again, no later one:
        else a process that keeps trying would never know its lease to have lapsed."""
        now = asyncio.get_running_loop().time()
        if self._asked is None:
            self._asked = fleet.now + (now - self._sent) + self._terms.lease
            slack = self._received - self._sent
            self._lapse = max(self._lapse, now + slack + self._terms.lease + self._terms.lag)
        return now, self._asked

    def _returned(
        self, sent: float, fleet: Fleet, upto: int, closing: Sequence[Held], remembered: Sequence[Held]
    ) -> None:
        self._sent, self._received = sent, asyncio.get_running_loop().time()
        self._lapse = max(self._lapse, self._received + self._terms.lease + self._terms.lag)
        self._journal.truncate(upto)
        self._book.forget(closing)
        self._book.uploaded(remembered)
        self.fleet = fleet
        self.renewals += 1

    def _seen_gone(self, process: ProcessInfo) -> bool:
        same_host = process.host == self._me.host and process.pid_namespace == self._me.pid_namespace
        return process.id != self._me.id and same_host and self._gone(process)

    def _adopt(self, fleet: Fleet) -> None:
        """Follow the fleet; epochs never fall, so an answer that was overtaken on its way changes nothing."""
        for state in fleet.entities.values():
            current = self._views.get(state.entity)
            if current is None or not current.known or current.epoch < state.epoch:
                self._views[state.entity] = view_of(state)

    async def _acknowledge(self) -> None:
        """Acknowledge every view under which, or under newer ones, all calls in flight began."""
        ready = {
            entity: view.epoch
            for entity, view in self._views.items()
            if view.known
            and self._acknowledged.get(entity) != view.epoch
            and not any(handle.older(view.epoch) for handle in self._handles() if handle.entity == entity)
        }
        if ready:
            await self._control.acknowledge(self._me.id, ready)
            self._acknowledged |= ready

    def _pace(self) -> float:
        assert self.fleet is not None
        under_way = any(state.step for state in self.fleet.entities.values())
        return self._terms.brisk if under_way else self._terms.renew
