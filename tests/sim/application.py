"""The application of one process: tasks that write and read a few records, and tell the ledger what they were told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from shadow.protocol.reads import behind, read, write_fence
from shadow.protocol.view import View
from shadow.protocol.writes import Fate, Write, write
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.keys import decode as id_of
from shadow_adapters.contract import Fence, Key, Record
from shadow_adapters.failures import EpochMoved, OutcomeUnknown, StoreDown
from shadow_flags.phases import Store
from tests.sim.ledger import Violation, name

if TYPE_CHECKING:
    from tests.sim.process import Process

TASKS = 2
"""Writers, and as many readers."""

READ_GAP = 0.1


class Application:
    """Writers and readers over one process's protocol."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._chance = process.world.chance(f"application {process.name}")
        self.name = f"{process.name}/app"
        self.closing = False
        self.calls = 0

    def start(self) -> None:
        """Begin to run, in an event loop of its own."""
        self._world.loop.spawn(self.name, self._main())

    async def _main(self) -> None:
        self._process.lane.start()
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
            call = _Call(self, self._chance.choice(self._world.ledger.keys), self._world.next_write())
            self.calls += 1
            try:
                await self._patiently(call)
            except (OutcomeUnknown, StoreDown, TimeoutError):
                self._world.note(self._process.name, "write", call.number, "fails")
            except Exception as error:
                self._world.fail(Violation(f"caller: a write of {self._process.name} raised {error!r}"))
            else:
                self._world.note(self._process.name, "write", call.number, "is acknowledged")
                self._world.acknowledged(call.key, call.number)
            finally:
                self.calls -= 1

    async def _patiently(self, call: _Call) -> None:
        """Now and then the caller gives up."""
        if self._chance.random() < 0.06:
            await asyncio.wait_for(call.run(), self._chance.random() * 0.3)
        else:
            await call.run()

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
            assert fence is not None
            return await process.new.read_fenced(fence, key)

        async def on_legacy() -> Record | None:
            return (await process.legacy.read([key])).get(key)

        with contextlib.suppress(StoreDown):
            await process.refuse_armed()
            record, store, view = await read(
                process.handle,
                self._world.scenario.terms,
                wants_new=lambda _: True,
                on_new=on_new,
                on_legacy=on_legacy,
            )
            self._world.check_read(key, floor, record, f"{store} (view {view.phase}, {process.name})")


class _Call:
    """One write: appends its number to the record's list, replaces the record, or deletes it."""

    def __init__(self, application: Application, key: Key, number: int) -> None:
        self._application = application
        self._process = application._process
        self._world = application._world
        self.key = key
        self.number = number
        weights = (5, 2, self._world.scenario.deletes, 2 if self._world.scenario.keyless else 0)
        self._kind = application._chance.choices(("append", "replace", "delete", "find"), weights)[0]

    async def run(self) -> None:
        """Make the write on whatever store is the authority."""
        handle, terms = self._process.handle, self._world.scenario.terms
        await self._process.refuse_armed()
        while True:
            view = await handle.enter()
            left = False
            try:
                if view.authority is Store.NEW:
                    with contextlib.suppress(EpochMoved):
                        await self._on_new(view)
                        return
                elif view.marks:
                    await write(self._process.lane, handle, view, self._write())
                    return
                else:
                    left = True
                    await self._unmarked(view)
                    return
            finally:
                if not left:
                    handle.leave(view)
            await behind(handle, view, terms)

    async def _on_new(self, view: View) -> None:
        fence = write_fence(view)
        assert fence is not None
        await self._process.new.change_fenced(fence, self.key, lambda before: self._applied(before, "new"))
        if view.follows:
            named = [] if self._kind == "find" else [self.key]  # what names no key is left to the reconciler
            await self._process.lane.follow(view, named)

    async def _unmarked(self, view: View) -> None:
        """A write that leaves no mark: where its outcome is unknown, it counts as in flight for the settling time."""
        leave = self._process.handle.leave
        try:
            await self._on_legacy()
        except BaseException as error:
            if fate(error) is Fate.UNKNOWN:
                leave = self._process.handle.leave_later
            raise
        finally:
            leave(view)

    def _write(self) -> Write[None]:
        whole = {self.key: self._after(None)} if self._kind in ("replace", "delete") else None
        keys = [None] if self._kind == "find" else [self.key]
        return Write(keys, self._on_legacy, fate, named=lambda _: self.key, records=whole)

    async def _on_legacy(self) -> None:
        note = self._world.note
        note(self._process.name, "sends", self._kind, self.number, "of", name(self.key), "to legacy")
        await self._process.legacy.change(self.key, lambda before: self._applied(before, "legacy"))

    def _applied(self, before: Record | None, store: str) -> Record | None:
        after = self._after(before)
        self._world.applied(store, self.key, self.number, after, f"{self._kind} by {self._process.name}")
        return after

    def _after(self, before: Record | None) -> Record | None:
        if self._kind == "delete":
            return None
        seen = [] if before is None or self._kind == "replace" else decode(before)["seen"]
        return encode({"_id": id_of(self.key), "seen": [*seen, self.number]})


def fate(error: BaseException) -> Fate:
    """What a failure on legacy says of the write."""
    return Fate.NOTHING if isinstance(error, StoreDown) else Fate.UNKNOWN
