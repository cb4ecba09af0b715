"""One run: servers, networks, a few processes, an operator, chaos, and the invariants after every step."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from shadow.protocol.journal import left_behind
from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import EntityState, Key, NewDebt, ProcessInfo, Record
from shadow_adapters.memory.network import CALM, Network, Weather
from shadow_adapters.memory.server import MemoryServer
from shadow_adapters.memory.stores import Change, LegacyServer
from shadow_adapters.memory.tables import MarkRow
from shadow_flags.phases import PHASES, Phase
from tests.sim.chaos import Chaos
from tests.sim.invariants import ENTITY, check, check_rest
from tests.sim.ledger import Ledger, Violation, name, refused, show
from tests.sim.loop import PROCESS, new_loop
from tests.sim.process import Process
from tests.sim.scenario import LIFE, STARTS, Scenario

EPOCH = 1_700_000_000.0
REST_SECONDS = 30.0
HOSTS = ("A", "B")


class World:
    """A run from a seed. `run` raises `Violation`; ``trace`` says what happened, if asked for."""

    def __init__(self, seed: int, scenario: Scenario, *, tracing: bool = False) -> None:
        self.seed = seed
        self.scenario = scenario
        self.loop = new_loop(seed)
        self.trace: list[str] = []
        self._tracing = tracing
        self.identities = self.chance("identities")
        self.server = WatchedServer(self)
        self.legacy_server = WatchedLegacy(self)
        self.network = Network(self.chance("network"), _weather(scenario, scenario.late))
        self.legacy_network = Network(self.chance("legacy network"), _weather(scenario, scenario.legacy_late))
        self.healed = False
        self.violation: Violation | None = None
        self.term = 1
        self.processes: list[Process] = []
        self._target = scenario.start
        self._writes = 0
        self._forgotten: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="shadow-sim-")
        self.ledger = Ledger(self._begin())
        self.chaos = Chaos(self)

    def chance(self, purpose: str) -> random.Random:
        """A source of chance of its own, so that one part does not disturb the others."""
        return random.Random(f"{self.seed}/{purpose}")

    def _begin(self) -> dict[Key, Record | None]:
        start = self.scenario.start
        keys = [key_of(f"k{n}") for n in range(self.scenario.keys)]
        records = {key: encode({"_id": f"k{n}", "seen": [0]}) for n, key in enumerate(keys)}
        self.legacy_server.records.update(records)
        self.legacy_server.armed = start in (Phase.READ_NEW, Phase.WRITE_NEW)
        if start is not Phase.LEGACY:
            for key, record in records.items():
                self.server.records.put((ENTITY, key), record)
        backfill = "none" if start is Phase.LEGACY else "done"
        state = EntityState(ENTITY, start, 1, stage_since=self.server.now(), backfill=backfill)
        self.server.entities.put(ENTITY, state)
        self.server.refuses = lambda record: "new does not hold this" if refused(record) else None
        self.server.log.flush()
        return dict(records)

    # -- running

    def run(self) -> None:
        """Run to the end. Raises `Violation`."""
        random.seed(self.seed)
        self.loop.after_step = lambda: check(self)
        self.loop.on_error = self._background_error
        try:
            self.loop.run_until_complete(self._main())
        finally:
            self.loop.close()
            for process in self.processes:
                _close_journal(process)
            self._folder.cleanup()

    async def _main(self) -> None:
        for host in HOSTS:
            self._boot(host, 0)
        for part in (self.chaos.run(), self.chaos.flush(), self._operator()):
            self.loop.spawn(None, part)
        await asyncio.sleep(self.scenario.seconds)
        self._heal()
        await self._rest()

    def _heal(self) -> None:
        self.note("HEAL")
        self.healed = True
        self.server.start()
        self.network.weather = self.legacy_network.weather = replace(CALM, patience=5.0)
        for process in self.living:
            if process.name in self._forgotten:
                self.kill(process)
        for process in self.living:
            for network in (self.network, self.legacy_network):
                while network.is_cut(process.name):
                    network.mend(process.name)
        self._target = self.phase

    async def _rest(self) -> None:
        """Wait for the fleet to come to rest."""
        deadline = self.loop.time() + REST_SECONDS
        while True:
            await asyncio.sleep(0.5)
            try:
                check_rest(self)
                self._check_callers()
                return
            except Violation:
                if self.loop.time() > deadline:
                    raise

    def _check_callers(self) -> None:
        for process in self.living:
            if process.calls:
                raise Violation(f"caller: {process.calls} calls of {process.name} never returned")
        if len(self.living) < len(HOSTS):
            raise Violation("a host is down at rest")

    async def _operator(self) -> None:
        """Aims at one phase after the other, as planned or at random."""
        chance = self.chance("operator")
        plan = itertools.cycle(self.scenario.plan)
        while not self.healed:
            await asyncio.sleep(chance.uniform(0.1, 0.5) if self.scenario.plan else chance.uniform(0.3, 4.0))
            if not self.scenario.plan:
                self._target = chance.choice([*STARTS, Phase.NEW] if self.scenario.ends else STARTS)
            elif self.phase is self._target or self.server.entities.rows[ENTITY].latch is not None:
                self._target = next(plan)

    def aim(self, _entity: str, _phase: Phase) -> Phase:
        """What the operator wants."""
        return self._target

    # -- processes

    @property
    def living(self) -> list[Process]:
        """The processes that have not died."""
        return [process for process in self.processes if self.loop.alive(process.name)]

    def folder(self, host: str) -> Path:
        """Where a host keeps its journals."""
        return Path(self._folder.name) / host

    def _boot(self, host: str, life: int) -> None:
        process = Process(self, host, life)
        self.processes.append(process)
        self.note("BOOT", process.name)
        process.start()

    def kill(self, process: Process) -> None:
        """The process dies where it stands; another life begins on its host some time later."""
        if not self.loop.alive(process.name):
            return
        self.loop.crash(process.name)
        for application in process.applications:
            self.loop.crash(application.name)
        chance = self.chance(f"death of {process.name}")
        self.later(chance.random() * 0.3, lambda: self.server.drop_client(process.info.id))
        self.later(chance.random() * 2, lambda: self._boot(process.host, process.life + 1))

    def leave(self, process: Process) -> None:
        """The process stops cleanly."""
        self.note("LEAVES", process.name)

        async def stop() -> None:
            await process.leave()
            self.note("LEFT", process.name)
            self.later(0.0, lambda: self.kill(process))

        if not process.closing:
            for application in process.applications:
                application.closing = True
            self.loop.spawn(process.name, stop())

    def renew_loop(self, process: Process) -> None:
        """One of the process's event loops ends, and another begins."""
        if len(process.applications) > 1 and not process.closing:
            self.note("LOOP ENDS", process.applications[-1].name)
            self.loop.spawn(process.name, process.renew_loop())

    def forget(self, process: ProcessInfo) -> None:
        """The operator's word that a process is dead, or at least cut off from legacy for ever."""
        self.note("FORGET", process.command)
        self._forgotten.add(process.command)
        self.legacy_network.cut(process.command)
        settle = self.scenario.terms.settle
        self.server.run(lambda: self.server.account(process.id, settle, journal_seen=False))

    def drop_if_cut(self, process: Process) -> None:
        """The server gives up the connections of a client that it has not heard of for a while."""
        if self.network.is_cut(process.name):
            self.server.drop_client(process.info.id)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something later, as the world."""
        self.loop.call_later(seconds, action, context=Context())

    # -- what the application tells

    def next_write(self) -> int:
        """A number for a write."""
        self._writes += 1
        return self._writes

    def applied(self, store: str, key: Key, write: int, state: Record | None, what: str) -> None:
        """A store applied a write of the application."""
        authority = PHASES[self.phase].authority
        self.note(f"{store} applies", write, "of", name(key), what, "" if store == authority else "(NOT the authority)")
        if store == authority:
            self.ledger.applied(key, write, state)

    def acknowledged(self, key: Key, write: int) -> None:
        """A caller was told that its write is done."""
        try:
            self.ledger.acknowledge(key, write)
        except Violation as violation:
            self.fail(violation)

    def check_read(self, key: Key, floor: int, record: Record | None, source: str) -> None:
        """A caller got an answer."""
        try:
            self.ledger.check_read(key, floor, record, source)
        except Violation as violation:
            self.fail(violation)

    def journalled(self, key: Key) -> bool:
        """Whether a journal holds a mark of the key."""
        for host in HOSTS:
            owners = [process.info.id for process in self.processes if process.host == host]
            upload, _ = left_behind(self.folder(host), owners)
            if upload.debts or any(mark.key is None or mark.key == key for mark in upload.marks):
                return True
        return False

    @property
    def phase(self) -> Phase:
        """The settled phase."""
        return Phase(self.server.entities.rows[ENTITY].phase)

    def records(self, key: Key) -> tuple[Record | None, Record | None]:
        """The key's record in legacy and in new."""
        return self.legacy_server.records.get(key), self.server.records.rows.get((ENTITY, key))

    # -- reports

    def fail(self, violation: Violation) -> None:
        """End the run with this violation after the running step."""
        if self.violation is None:
            self.violation = violation

    def _background_error(self, process: str | None, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self.fail(Violation(f"background: {context.get('message')} in {process}: {error!r}"))

    def note(self, *words: object) -> None:
        """One line of the trace."""
        if self._tracing:
            self.trace.append(f"{self.loop.time():8.3f} [{PROCESS.get() or '-':5}] " + " ".join(map(str, words)))

    def who(self, owner: UUID) -> str:
        """A process by its identity."""
        return next((p.name for p in self.processes if p.info.id == owner), "outbox")


class WatchedServer(MemoryServer):
    """The control server, with a trace of what it does."""

    def __init__(self, world: World) -> None:
        super().__init__(lambda: EPOCH + world.loop.time())
        self._world = world

    def store_mark(self, row: MarkRow) -> None:
        super().store_mark(row)
        what = "opens" if row.open else "closes"
        of = "?" if row.key is None else name(row.key)
        age = f"of {row.opened_at - EPOCH:.3f}" if row.open else ""
        self._world.note("control", what, f"{self._world.who(row.id.owner)}#{row.id.seq}", "for", of, age)

    def put_records(self, entity: str, states: Mapping[Key, Record | None]) -> None:
        super().put_records(entity, states)
        for key, record in states.items():
            self._world.note("new gets", name(key), show(record))

    def owe(self, debts: Iterable[NewDebt]) -> None:
        debts = list(debts)
        super().owe(debts)
        for debt in debts:
            self._world.note("DEBT", debt.reason)

    def write_audit(self, **line: Any) -> None:
        super().write_audit(**line)
        self._world.note("STEP", line["phase"], line["step"], line["stage"], line["why"], "by", line["who"])

    def start(self) -> None:
        if not self.up:
            self._world.note("CONTROL IS BACK")
        super().start()


class WatchedLegacy(LegacyServer):
    """The legacy store, with a trace."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def change(self, key: Key, change: Change) -> Record | None:
        after = super().change(key, change)
        self._world.note("legacy has", name(key), show(after))
        return after


def _weather(scenario: Scenario, late: float) -> Weather:
    return Weather(
        late=late,
        late_seconds=LIFE,
        lost=late / 4,
        unanswered=late / 4,
        slow=scenario.slow,
        queue=scenario.queue,
    )


def _close_journal(process: Process) -> None:
    try:
        os.close(process.node.journal._file)
    except OSError:
        return
