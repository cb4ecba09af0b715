"""What breaks: processes die, stall and are cut off, servers crash and lose what was not flushed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from shadow_flags.phases import Phase

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

FLUSH_SECONDS = 0.3


class Chaos:
    """Breaks things at random until `World.healed`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("chaos")

    async def run(self) -> None:
        """Break something now and then."""
        faults = self._world.scenario.faults
        while not self._world.healed:
            await asyncio.sleep(self._chance.expovariate(faults / 0.3))
            if not self._world.healed:
                self._break()

    async def flush(self) -> None:
        """The server's own writer of its log: what was committed a moment ago becomes durable."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._world.server.log.flush()

    def after_mark(self, process: Process) -> None:
        """In a lossy run: the server loses the mark that it has just acknowledged, and often its writer goes too."""
        if self._world.healed or not self._world.scenario.lossy or self._chance.random() > 0.1:
            return
        self._restart(lose=self._world.server.log.pending)
        draw = self._chance.random()
        if draw < 0.7:
            self._cut(process, 2.0)
        if draw < 0.5:
            self._later(self._chance.choice((0.05, 0.2, 0.6)), lambda: self._crash(process))

    def after_scan(self, process: Process) -> None:
        """In a stalling run: the loop that has read a chunk of legacy is held up before it uses it."""
        if not self._world.healed and self._world.scenario.stalls and self._chance.random() < 0.5:
            self._world.loop.pause(process.name, 0.4)

    async def hesitate(self, loop: str) -> None:
        """In a hesitant run: a writer's loop is held up before its mark, after its write, or after its answer."""
        if not self._world.healed and self._world.scenario.hesitates and self._chance.random() < 0.1:
            self._world.note("HESITATES", loop)
            self._world.loop.pause(loop, self._chance.choice((0.2, 0.6, 1.2)))
            await asyncio.sleep(0)

    def _break(self) -> None:
        process = self._chance.choice(self._world.living) if self._world.living else None
        if self._world.scenario.sleeps:
            if process is not None:
                self._sleep(process)
            return
        draw = self._chance.random()
        if draw < 0.15:
            self._restart(lose=self._chance.randint(0, self._world.server.log.pending))
        elif draw < 0.25:
            self._forget()
        elif process is None:
            return
        elif draw < 0.45:
            self._crash(process)
        elif draw < 0.6:
            self._pause(process)
        elif draw < 0.85:
            self._cut(process, self._chance.choice((0.6, 4, 8) if self._world.scenario.refuses else (0.1, 0.6, 2, 4)))
        elif draw < 0.93:
            self._cut_legacy(process)
        elif draw < 0.96:
            self._world.renew_loop(process)
        else:
            self._world.leave(process)

    def _crash(self, process: Process) -> None:
        if not self._world.loop.alive(process.name) or self._world.healed:
            return
        self._world.note("CRASH", process.name)
        self._world.kill(process)

    def _pause(self, process: Process) -> None:
        """Stop the process for a while, or block only an application's loop, or only the control loop.

        Not for long where time accounts for it: a write may have looked at the lease already.
        """
        seconds = self._chance.choice((0.1, 0.5, 1.5) if self._world.scenario.refuses else (0.1, 0.5, 1.5, 3.0, 6.0))
        application, control = self._chance.choice(process.applications).name, process.name
        blocked = self._chance.choices(([application], [application, control], [control]), (3, 5, 2))[0]
        self._world.note("PAUSE", *blocked, seconds)
        for loop in blocked:
            self._world.loop.pause(loop, seconds)

    def _sleep(self, process: Process) -> None:
        self._world.note("SLEEP", process.name)
        for loop in (process.name, *(application.name for application in process.applications)):
            self._world.loop.pause(loop, 7.0)
        self._later(self._world.scenario.terms.lease + 0.2, self._forget)

    def _cut(self, process: Process, seconds: float) -> None:
        self._world.note("CUT from control", process.name, seconds)
        self._world.network.cut(process.name)
        if self._chance.random() < 0.7:
            self._world.server.drop_client(process.info.id)  # else the server finds out later
        self._later(seconds, lambda: self._world.network.mend(process.name))
        self._later(0.8, lambda: self._world.drop_if_cut(process))

    def _cut_legacy(self, process: Process) -> None:
        seconds = self._chance.choice((0.1, 0.6, 2))
        self._world.note("CUT from legacy", process.name, seconds)
        self._world.legacy_network.cut(process.name)
        self._later(seconds, lambda: self._world.legacy_network.mend(process.name))

    def _restart(self, lose: int) -> None:
        world = self._world
        if not world.server.up:
            return
        world.note("CONTROL CRASHES, loses", lose, "of", world.server.log.pending)
        world.server.crash(lose)
        world.network.reset()
        self._later(self._chance.choice((0.05, 0.3, 1.5)), world.server.start)
        if lose and world.living and self._chance.random() < 0.5:
            process = self._chance.choice(world.living)
            if self._chance.random() < 0.5:
                self._cut(process, self._chance.choice((0.6, 2.0)))
            if self._chance.random() < 0.6:
                self._later(self._chance.random() * 0.8, lambda: self._crash(process))

    def _forget(self) -> None:
        """The operator declares lapsed processes dead. One that may be alive only where new fences its writes."""
        world = self._world
        if not world.scenario.forget or not world.server.up or world.healed:
            return
        for lease in list(world.server.leases.rows.values()):
            if lease.gone_at is None and lease.expires_at < world.server.now():
                if world.loop.alive(lease.process.command) and world.phase is not Phase.WRITE_NEW:
                    continue
                world.forget(lease.process)

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self._world.later(seconds, action)
