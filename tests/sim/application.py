"""The application of one event loop: tasks that write and read a few records, and tell the ledger what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from shadow.protocol.reads import behind, read, write_fence
from shadow.protocol.unit import MarkedUnit
from shadow.protocol.view import View
from shadow.protocol.writes import Fate, Write, write
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.keys import decode as id_of
from shadow_adapters.contract import Fence, Key, Record
from shadow_adapters.failures import EpochMoved, OutcomeUnknown, Refused, StoreDown
from shadow_adapters.memory.stores import Transaction
from shadow_flags.phases import Store
from tests.sim.invariants import ENTITY
from tests.sim.ledger import Violation, name
from tests.sim.scenario import LIFE

if TYPE_CHECKING:
    from tests.sim.process import Process

TASKS = 2
"""Writers, and as many readers."""

READ_GAP = 0.1


class Application:
    """Writers and readers over one process's protocol, in an event loop of its own."""

    def __init__(self, process: Process, number: int) -> None:
        self._process = process
        self._world = process.world
        self.name = f"{process.name}/app{number}"
        self.handle = process.node.handle(ENTITY)
        self.lane = process.new_lane()
        self._chance = process.world.chance(f"application {self.name}")
        self._main: asyncio.Task[None] | None = None
        self.closing = False
        self.calls = 0

    def start(self) -> None:
        """Begin to run."""
        self._main = self._world.loop.spawn(self.name, self._run())

    async def end(self) -> None:
        """End the event loop: whatever runs in it is cancelled."""
        assert self._main is not None
        self._main.cancel()
        await asyncio.wait([self._main])
        await self.lane.stop()
        self._process.node.forget(self.lane, [self.handle])

    async def _run(self) -> None:
        self.lane.start()
        async with asyncio.TaskGroup() as group:
            for part in [self._writer, self._reader] * TASKS:
                group.create_task(part())

    @property
    def _over(self) -> bool:
        return self.closing or self._world.healed

    async def _writer(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / self._world.scenario.gap))
            if self._over:
                return
            call = _Call(self, self._world.next_write())
            self.calls += 1
            try:
                done = await self._patiently(call)
            except (OutcomeUnknown, StoreDown, TimeoutError, Refused):
                self._world.note(self._process.name, "write", call.number, "fails")
            except Exception as error:
                self._world.fail(Violation(f"caller: a write of {self._process.name} raised {error!r}"))
            else:
                self._world.note(self._process.name, "write", call.number, "is", "acknowledged" if done else "aborted")
                for key in call.keys if done else ():
                    self._world.acknowledged(key, call.number)
                await self._world.chaos.hesitate(self.name)
            finally:
                self.calls -= 1

    async def _patiently(self, call: _Call) -> bool:
        """Now and then the caller gives up."""
        if self._chance.random() < 0.06:
            return await asyncio.wait_for(call.run(), self._chance.random() * 0.3)
        return await call.run()

    async def _reader(self) -> None:
        while True:
            await asyncio.sleep(READ_GAP)
            if self._over:
                return
            self.calls += 1
            try:
                await self._read(self._chance.choice(self._world.ledger.keys))
            finally:
                self.calls -= 1

    async def _read(self, key: Key) -> None:
        floor = self._world.ledger.floor(key)
        process = self._process

        async def on_new(fence: Fence | None) -> Record | None:
            return await process.new.read_fenced(fence, key)

        begun = process.spells()

        async def on_legacy() -> Record | None:
            process.refuse_lapsed(begun, writes=False)
            return (await process.legacy.read([key])).get(key)

        with contextlib.suppress(StoreDown):
            await process.refuse_armed(self.handle)
            record, store, view = await read(
                self.handle,
                self._world.scenario.terms,
                wants_new=lambda _: True,
                on_new=on_new,
                on_legacy=on_legacy,
                late=lambda: None,
            )
            self._world.check_read(key, floor, record, f"{store} (view {view.phase}, {process.name})")


class _Call:
    """One write.

    It appends its number to a record's list, replaces the record, deletes it, or makes it one that new refuses; or it
    appends to several, one by one or in a transaction.
    """

    def __init__(self, application: Application, number: int) -> None:
        self._application = application
        self._process = application._process
        self._world = application._world
        self._chance = application._chance
        self.number = number
        self._begun = self._process.spells()
        scenario = self._world.scenario
        weights = {
            "append": 5,
            "replace": 2,
            "delete": scenario.deletes,
            "find": 2 * scenario.keyless,
            "refused": 2 * scenario.refusals,
            "many": 3 * scenario.many,
            "transaction": 4 * scenario.transactions,
        }
        self._kind = self._chance.choices(list(weights), list(weights.values()))[0]
        keys = self._world.ledger.keys
        several = self._kind in ("many", "transaction")
        self.keys = self._chance.sample(keys, self._chance.randint(1, min(3, len(keys))) if several else 1)

    async def run(self) -> bool:
        """Make the write on whatever store is the authority. Whether it was made: a transaction may be aborted."""
        handle = self._application.handle
        await self._process.refuse_armed(handle)
        while True:
            self._begun = self._process.spells()
            view = await handle.enter()
            left = False
            try:
                await self._world.chaos.hesitate(self._application.name)
                if view.authority is Store.LEGACY:
                    self._process.refuse_lapsed(self._begun, writes=True)
                if view.authority is Store.NEW:
                    with contextlib.suppress(EpochMoved):
                        await self._on_new(view)
                        return True
                elif self._kind == "transaction":
                    left = True
                    return await self._in_transaction(view)
                elif view.marks:
                    await write(self._application.lane, handle, view, await self._write())
                    return True
                else:
                    left = True
                    await self._unmarked(view)
                    return True
            finally:
                if not left:
                    handle.leave(view)
            await behind(handle, view, self._world.scenario.terms)

    # -- on new

    async def _on_new(self, view: View) -> None:
        await self._process.new.change_fenced(write_fence(view), self._changes("new"))
        if view.follows:
            named = [] if self._kind in ("find", "many") else self.keys  # what names no key is left to the reconciler
            await self._application.lane.follow(view, named)

    # -- on legacy

    async def _unmarked(self, view: View) -> None:
        """A write that leaves no mark: where its outcome is unknown, it counts as in flight for the settling time."""
        leave = self._application.handle.leave
        try:
            await self._on_legacy()
        except BaseException as error:
            if fate(error) is Fate.UNKNOWN:
                leave = self._application.handle.leave_later
            raise
        finally:
            leave(view)

    async def _write(self) -> Write[None]:
        if self._kind == "many":
            await self._process.legacy.read(self.keys)  # the look-up of what the filter matches
            if self._too_many:
                return Write([None], self._on_legacy, partly, nameless=True)
            return Write(self.keys, self._on_legacy, partly)
        key = self.keys[0]
        whole = {key: self._after(key, None)} if self._kind in ("replace", "delete") else None
        keys = [None] if self._kind == "find" else [key]
        return Write(keys, self._on_legacy, fate, named=lambda _: key, records=whole)

    @property
    def _too_many(self) -> bool:
        return len(self.keys) > self._world.scenario.terms.many_limit

    async def _on_legacy(self) -> None:
        self._process.refuse_lapsed(self._begun, writes=True)
        self._note_sent()
        changes = self._changes("legacy").items()
        writes = (self._process.legacy.change(key, change) for key, change in changes)
        results = await asyncio.gather(*writes, return_exceptions=True)
        errors = [found for found in results if isinstance(found, BaseException)]
        for error in sorted(errors, key=lambda error: isinstance(error, StoreDown)):  # what is unknown counts first
            raise error
        await self._world.chaos.hesitate(self._application.name)

    async def _in_transaction(self, view: View) -> bool:
        unit = MarkedUnit()
        unit.enter(self._application.handle, view)
        transaction = Transaction(self._changes("legacy"), asyncio.get_running_loop().time() + LIFE)
        try:
            await self._mark_transaction(unit, view)
        except BaseException:
            unit.end(Fate.NOTHING)
            raise
        if self._chance.random() < 0.15:
            unit.end(Fate.NOTHING)
            return False
        for attempt in itertools.count():
            try:
                self._note_sent()
                await unit.commit(lambda: self._commit(transaction), fate)
                return True
            except OutcomeUnknown:
                if attempt == 2 or self._chance.random() < 0.3:
                    raise
        raise AssertionError("unreachable")

    async def _commit(self, transaction: Transaction) -> None:
        self._process.refuse_lapsed(self._begun, writes=True)
        await self._process.legacy.commit(transaction)

    async def _mark_transaction(self, unit: MarkedUnit, view: View) -> None:
        lane, handle = self._application.lane, self._application.handle
        for keys in [[None]] if self._too_many else [[key] for key in self.keys]:
            if view.marks:
                await unit.mark(lane, handle, keys)
            await asyncio.sleep(self._chance.random() * 0.1)

    def _note_sent(self) -> None:
        of = ", ".join(map(name, self.keys))
        self._world.note(self._process.name, "sends", self._kind, self.number, "of", of, "to legacy")

    # -- what the write makes of a record

    def _changes(self, store: str) -> dict[Key, Callable[[Record | None], Record | None]]:
        return {key: self._change(store, key) for key in self.keys}

    def _change(self, store: str, key: Key) -> Callable[[Record | None], Record | None]:
        def change(before: Record | None) -> Record | None:
            if store == "new" and self._kind == "refused":
                raise Refused("new does not hold this", kind="check", key=key)
            after = self._after(key, before)
            self._world.applied(store, key, self.number, after, f"{self._kind} by {self._process.name}")
            return after

        return change

    def _after(self, key: Key, before: Record | None) -> Record | None:
        if self._kind == "delete":
            return None
        seen = [] if before is None or self._kind == "replace" else decode(before)["seen"]
        more = {"refused": True} if self._kind == "refused" else {}
        return encode({"_id": id_of(key), "seen": [*seen, self.number], **more})


def fate(error: BaseException) -> Fate:
    """What a failure on legacy says of the write."""
    return Fate.NOTHING if isinstance(error, StoreDown) else Fate.UNKNOWN


def partly(error: BaseException) -> Fate:
    """The same of a write of several records: some of them may have been changed."""
    return Fate.SOME if isinstance(error, StoreDown) else Fate.UNKNOWN
