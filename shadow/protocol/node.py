"""One process of the fleet: its memory of marks, its lease, its share of conducting, reconciling and backfilling.

The control part runs in one event loop of its own; every other event loop of the process gets a `Lane`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shadow.protocol.conductor import Conductor, ConductorObserver
from shadow.protocol.handle import Handle
from shadow.protocol.jobs import JobObserver, Jobs
from shadow.protocol.journal import Journal
from shadow.protocol.lane import Lane
from shadow.protocol.lasting import lasting
from shadow.protocol.marks import MarkBook
from shadow.protocol.membership import Gone, Membership
from shadow.protocol.reconcile import Reconciler
from shadow.protocol.settings import Terms
from shadow.protocol.sync import SyncObserver
from shadow.protocol.view import View, unknown_view
from shadow_adapters.contract import Burden, Control, EntityState, Fleet, Legacy, New, ProcessInfo
from shadow_flags.phases import Phase


class Observer(SyncObserver, ConductorObserver, JobObserver, Protocol):
    """Who is told of everything: metrics, logs, `shadow status`."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a node asks of its surroundings.

    Attributes:
        aim: where the operator wants an entity, from its settled phase; None while no flag was ever read.
        blocked: why gates block a step forward.
        tripped: why the breaker takes an entity back.
        gone: whether another process of this host is surely gone.
        order: the entities, parents first.
        refuses: whether every process refuses calls of an entity (None: of all) while it cannot renew its lease.
    """

    aim: Callable[[str, Phase], Phase | None]
    blocked: Callable[[EntityState, Phase, Burden, Fleet], Awaitable[list[str]]]
    tripped: Callable[[EntityState], Awaitable[list[str]]]
    gone: Gone
    order: Callable[[], Sequence[str]]
    refuses: Callable[[str | None], bool]


class Node:
    """A process of the fleet.

    Args:
        me: as it announces itself.
        folder: where the journals of this host's processes lie.
        control, legacy, new: the stores as the control loop reaches them.
    """

    def __init__(
        self,
        me: ProcessInfo,
        folder: Path,
        terms: Terms,
        control: Control,
        legacy: Callable[[str], Legacy],
        new: Callable[[str], New],
        wishes: Wishes,
        observer: Observer,
        *,
        journal_bytes: int = 64 << 20,
        clock: Callable[[], float],
    ) -> None:
        self.me = me
        self.terms = terms
        self.views: dict[str, View] = {}
        self.journal = Journal(folder, me, journal_bytes)
        self.book = MarkBook(self.server_time)
        self.lanes: list[Lane] = []
        self.handles: list[Handle] = []
        self._clock = clock
        self._observer = observer
        self._tasks: list[asyncio.Task[None]] = []
        self.membership = Membership(
            me, control, self.book, self.journal, folder, terms, self.views, lambda: list(self.handles), wishes.gone
        )
        self.conductor = Conductor(
            me,
            control,
            self.membership,
            terms,
            wishes.aim,
            wishes.blocked,
            wishes.tripped,
            wishes.refuses,
            legacy,
            observer,
        )
        self.lane = self.new_lane(control, legacy)
        leads = lambda: self.conductor.conducting  # noqa: E731
        self.jobs = Jobs(
            me.id,
            wishes.order,
            self.lane,
            control,
            self.membership,
            terms,
            self.views,
            legacy,
            new,
            self.server_time,
            leads,
            observer,
        )
        self.reconciler = Reconciler(
            me.id, self.lane, self.book, control, terms, self.views, leads, self.server_time, legacy, self.jobs.verify
        )

    def server_time(self) -> float | None:
        """PostgreSQL's clock, as this process knows it; None while it was never told."""
        return self.membership.server_time(self._clock())

    def add(self, entity: str) -> None:
        """Let the node take part in an entity. Before control knows it, legacy answers and every write is marked."""
        self.views.setdefault(entity, unknown_view(entity))

    def handle(self, entity: str) -> Handle:
        """The entity for one event loop."""
        handle = Handle(entity, self.views, self.terms)
        self.handles.append(handle)
        return handle

    def new_lane(self, control: Control, legacy: Callable[[str], Legacy]) -> Lane:
        """The protocol for one event loop; the caller starts it there."""
        lane = Lane(
            self.me.id,
            self.book,
            control,
            self.journal,
            self.terms,
            self.membership,
            self.views,
            legacy,
            self._observer,
        )
        self.lanes.append(lane)
        return lane

    def forget(self, lane: Lane, handles: Sequence[Handle]) -> None:
        """An event loop has ended: nothing is in flight in it any more, and its marks are the control lane's."""
        self.lanes.remove(lane)
        for handle in handles:
            self.handles.remove(handle)

    def start(self) -> None:
        """Start everything in the running (control) loop."""
        self.lane.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(lasting(part, self.terms.renew)) for part in self._parts()]

    def _parts(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        yield self.membership.run
        yield self.conductor.run
        yield self.jobs.run
        yield self.reconciler.run

    async def stop(self) -> None:
        """Leave the fleet cleanly. What is still marked is left to the others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.lane.stop()
        with contextlib.suppress(Exception):
            await self.membership.goodbye()
        self.journal.close()
