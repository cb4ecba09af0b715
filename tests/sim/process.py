"""One simulated process: the protocol's own node, put together as in a real process, over networks that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from shadow.protocol.backfill import Progress
from shadow.protocol.handle import Handle
from shadow.protocol.lane import Lane
from shadow.protocol.node import Node, Wishes
from shadow.protocol.verify import Report
from shadow_adapters.contract import Burden, EntityState, Fleet, Key, NewMark, ProcessInfo, Record, Transition
from shadow_adapters.failures import StoreDown
from shadow_adapters.memory.control import MemoryControl
from shadow_adapters.memory.stores import MemoryLegacy, MemoryNew
from shadow_flags.phases import Phase
from tests.sim.application import Application
from tests.sim.invariants import ENTITY

if TYPE_CHECKING:
    from tests.sim.world import World


class Process:
    """One life of a process on a host. The control loop and the applications' loops have connections of their own."""

    def __init__(self, world: World, host: str, life: int) -> None:
        self.world = world
        self.host = host
        self.life = life
        self.name = f"{host}.{life}"
        self._chance = world.chance(f"breaker {self.name}")
        identity = UUID(int=world.identities.getrandbits(128), version=4)
        self.info = ProcessInfo(identity, host, life, "one", float(life), command=self.name)
        self.legacy = WatchedLegacy(self)
        self.new = MemoryNew(world.server, ENTITY, world.network.wire(self.name))
        self.node = Node(
            self.info,
            world.folder(host),
            world.scenario.terms,
            WatchedControl(self),
            lambda _: self.legacy,
            lambda _: self.new,
            Wishes(
                world.aim,
                self._blocked,
                self._tripped,
                self._gone,
                lambda: [ENTITY],
                lambda _: world.scenario.refuses,
            ),
            self,
            clock=world.loop.time,
        )
        self.node.add(ENTITY)
        self._loops = 0
        self.applications = [self._application() for _ in range(world.scenario.loops)]

    # -- life

    def start(self) -> None:
        """Begin to run."""
        self.world.loop.spawn(self.name, self._main())

    async def _main(self) -> None:
        self.node.start()
        for application in self.applications:
            application.start()

    def new_lane(self) -> Lane:
        """A lane for an application's loop."""
        return self.node.new_lane(WatchedControl(self), lambda _: self.legacy)

    def _application(self) -> Application:
        self._loops += 1
        return Application(self, self._loops)

    @property
    def closing(self) -> bool:
        """Whether the process is about to leave."""
        return any(application.closing for application in self.applications)

    @property
    def calls(self) -> int:
        """Calls in flight, in any loop."""
        return sum(application.calls for application in self.applications)

    async def renew_loop(self) -> None:
        """End one event loop with everything that runs in it, and begin another."""
        ending = self.applications.pop()
        await ending.end()
        beginning = self._application()
        self.applications.append(beginning)
        beginning.start()

    async def leave(self) -> None:
        """Stop cleanly, once the applications begin no new calls: those in flight finish, goodbye."""
        while self.calls:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for application in self.applications:
            await application.lane.stop()
        await self.node.stop()

    async def refuse_armed(self, handle: Handle) -> None:
        """What every call asks first: whether this process may serve legacy before it knows the phase."""
        if not handle.view().known and await self.legacy.armed():
            raise StoreDown("the phase is not known yet, and the authority may have moved")

    def spells(self) -> tuple[int | None, int | None]:
        """What a call asks before it takes its view."""
        now = self.world.loop.time()
        return self.node.membership.live_spell(now), self.node.membership.known_spell(now)

    def refuse_lapsed(self, begun: tuple[int | None, int | None], *, writes: bool) -> None:
        """In a refusing run, what every write on legacy asks before its mark and before it is sent, and every read."""
        before, now = (spells[0 if writes else 1] for spells in (begun, self.spells()))
        if self.world.scenario.refuses and (before is None or before != now):
            raise StoreDown("the lease may have lapsed since the call began")

    # -- what the world looks at

    def remembers(self, key: Key) -> bool:
        """Whether this process lives, and its memory holds a mark of the key, closed and not durable yet included."""
        if not self.world.loop.alive(self.name):
            return False
        return any(held.key is None or held.key == key for held in self.node.book.remembered())

    def open_keys(self) -> list[Key]:
        """Keys with a mark that is open in memory."""
        return sorted(self.node.book.open_keys(ENTITY))

    # -- what the protocol asks of its surroundings

    def _gone(self, process: ProcessInfo) -> bool:
        return not self.world.loop.alive(f"{process.host}.{process.pid}")

    async def _blocked(self, state: EntityState, to: Phase, burden: Burden, fleet: Fleet) -> list[str]:
        return ["backfill"] if to is Phase.SHADOW_READ and state.backfill != "done" else []

    async def _tripped(self, _: EntityState) -> list[str]:
        trips = not self.world.healed and self._chance.random() < 0.01
        return ["a bad moment"] if trips else []

    # -- whom the protocol tells

    def synced(self, entity: str, keys: int, seconds: float) -> None: ...

    def refused(self, entity: str, kind: str) -> None: ...

    def failed(self, entity: str, keys: int) -> None: ...

    def waiting(self, entity: str, why: tuple[str, ...]) -> None: ...

    def moved(self, change: Transition) -> None: ...

    def fenced(self, entity: str, seconds: float, moved: bool) -> None: ...

    def backfilled(self, entity: str, progress: Progress) -> None: ...

    def verified(self, entity: str, report: Report, done: bool) -> None: ...


class WatchedControl(MemoryControl):
    """A process's control, beside which chaos lies in wait."""

    def __init__(self, process: Process) -> None:
        world = process.world
        super().__init__(
            world.server,
            process.info.id,
            settle_seconds=world.scenario.terms.settle,
            link=world.network.wire(process.name),
        )
        self._process = process

    async def mark(self, me: UUID, marks: Sequence[NewMark], within: float | None = None) -> None:
        await super().mark(me, marks, within)
        self._process.world.chaos.after_mark(self._process)


class WatchedLegacy(MemoryLegacy):
    """A process's way to legacy, beside which chaos lies in wait too."""

    def __init__(self, process: Process) -> None:
        world = process.world
        super().__init__(world.legacy_server, world.legacy_network.wire(process.name))
        self._process = process

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        page = await super().scan(after, limit)
        self._process.world.chaos.after_scan(self._process)
        return page
