"""The long work that belongs to an entity's phase: the backfill that follows ``dual_write``, and verifies.

Run by the process that conducts, one entity after the other, parents before children where tables reference each other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from shadow.protocol.backfill import Backfill, Progress
from shadow.protocol.lane import Lane
from shadow.protocol.membership import Membership
from shadow.protocol.settings import Terms
from shadow.protocol.verify import Report, facts, verify
from shadow.protocol.view import View
from shadow_adapters.contract import Control, EntityState, Key, Legacy, New, Transition
from shadow_adapters.failures import StoreError

_LAST = UUID(int=0)
"""In whose name a verify's facts are stated: only the last verify counts, whichever process made it."""


class JobObserver(Protocol):
    """Who is told how far a job is."""

    def backfilled(self, entity: str, progress: Progress) -> None: ...

    def verified(self, entity: str, report: Report, done: bool) -> None: ...


class Jobs:
    """Backfill and verify for the entities of one process.

    Args:
        order: the entities, parents first.
        now: PostgreSQL's clock.
    """

    def __init__(
        self,
        me: UUID,
        order: Callable[[], Sequence[str]],
        lane: Lane,
        control: Control,
        membership: Membership,
        terms: Terms,
        views: Mapping[str, View],
        legacy: Callable[[str], Legacy],
        new: Callable[[str], New],
        now: Callable[[], float | None],
        leads: Callable[[], bool],
        observer: JobObserver,
    ) -> None:
        self._me = me
        self._order = order
        self._lane = lane
        self._control = control
        self._membership = membership
        self._terms = terms
        self._views = views
        self._legacy = legacy
        self._new = new
        self._now = now
        self._leads = leads
        self._observer = observer
        self._busy: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """Backfill what waits for it, for ever."""
        while True:
            try:
                await self.turn()
            except (StoreError, TimeoutError):
                pass
            await asyncio.sleep(self._terms.renew)

    async def turn(self) -> None:
        """Backfill every entity that is ready for it. Raises `StoreError`."""
        if not self._leads():
            return
        fleet = await self._membership.look()
        waiting = [entity for entity in self._order() if entity in fleet.entities]
        for entity in waiting:
            if self._ready(fleet.entities[entity], fleet.now):
                with contextlib.suppress(StoreError):  # tried again at the next turn; the others go on
                    await self.backfill(entity)

    def _ready(self, state: EntityState, now: float) -> bool:
        marked_since = state.dual_since
        return state.backfill == "running" and marked_since is not None and now >= marked_since + self._terms.settle

    async def backfill(self, entity: str) -> None:
        """Copy, then verify, then say that it is done; first waits until it may begin.

        Raises `StoreError`; may be run again.
        """
        async with self._busy.setdefault(entity, asyncio.Lock()):
            await self._backfill(entity)

    async def _backfill(self, entity: str) -> None:
        while True:
            fleet = await self._control.fleet()
            state = fleet.entities[entity]
            if state.backfill != "running" or state.dual_since is None:
                return
            if self._ready(state, fleet.now):
                break
            await asyncio.sleep(self._terms.renew)
        job = Backfill(
            entity,
            self._legacy(entity),
            self._new(entity),
            self._lane,
            self._control,
            self._terms,
            lambda: self._views[entity],
            self._now,
            lambda progress: self._observer.backfilled(entity, progress),
        )
        progress = await job.run(state.dual_since)
        report = await self.verify(entity)
        if report is not None:
            await self._done(entity, state.dual_since, {"records": progress.records, **report})

    async def _done(self, entity: str, dual_since: float, evidence: Mapping[str, object]) -> None:
        state = (await self._control.fleet()).entities[entity]
        if state.backfill != "running" or state.dual_since != dual_since:
            return
        change = Transition(
            entity,
            state.epoch,
            state.phase,
            state.step,
            state.stage,
            str(self._me),
            "the backfill is complete",
            evidence,
            backfill="done",
            latch=state.latch,
        )
        await self._control.transition(change)

    async def verify(self, entity: str, *, repair: bool = True) -> dict[str, object] | None:
        """Compare both stores and repair; the counts, or None where a difference is left that nothing covers.

        Raises `StoreError`.
        """
        since = self._now()

        async def marked() -> frozenset[Key]:
            return await self._control.marked_since(entity, since or 0.0)

        report = await verify(
            entity,
            self._legacy(entity),
            self._new(entity),
            self._lane,
            self._terms,
            marked,
            repair=repair,
            progress=lambda report: self._observer.verified(entity, report, False),
        )
        self._observer.verified(entity, report, True)
        await self._control.state_facts(_LAST, {(entity, name): value for name, value in facts(report).items()})
        return report.evidence() if report.covered else None
