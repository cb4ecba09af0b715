"""Shadow in this process: one configuration, one control thread, one `Loop` for each event loop that uses it."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from pymongo.errors import AutoReconnect

from shadow.config import EntitySettings, Settings, load
from shadow.metrics.events import EventSink
from shadow.metrics.prometheus import sink as prometheus_sink
from shadow.metrics.sink import Fanout, Sink
from shadow.router.altering import exists
from shadow.router.router import ROUTERS, Router
from shadow.router.unit import TransactionUnit
from shadow.runtime import portal
from shadow.runtime.control import ControlThread
from shadow.runtime.entities import Entities
from shadow.runtime.entity import Entity
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.failures import StoreDown
from shadow_adapters.postgres.layouts import Layout
from shadow_flags.phases import Store

_JOIN_SECONDS = 3.0
_GLANCE = 0.01
_BLINK = 0.001


class Runtime:
    """One process's runtime. `current` gives it. ``sinks`` are told what metrics and logs are told."""

    def __init__(self, settings: Settings, sinks: Sequence[Sink] = ()) -> None:
        self.settings = settings
        self.sink: Sink = Fanout([prometheus_sink(), EventSink(), *sinks])
        self.entities = Entities(self._appeared)
        self.layouts: dict[str, Layout] = {}
        for configured in settings.entities.values():
            if configured.legacy.mongo is not None and not configured.legacy.is_pattern:
                database, _, collection = configured.legacy.mongo.partition(".")
                self._add(configured, database, collection)
        self._loops: dict[asyncio.AbstractEventLoop, Loop] = {}
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Future[Loop]] = {}
        self._lock = threading.Lock()
        self._waited_for: set[str] = set()
        self.control = ControlThread(settings, self.entities, self.layouts, self.sink)
        self._started = False
        self._ended = False

    def start(self) -> None:
        """Start the control thread; needs no store to be there."""
        with self._lock:
            if not self._started:
                self._started = True
                self.control.start()
                _leave_on_sigterm()

    def stop(self) -> None:
        """Leave the fleet cleanly. Calls that come later are refused: nobody would wait for them."""
        self._ended = True
        for router in list(ROUTERS):
            router.reset()
        self.control.stop()

    def router(self, database: str, collection: str) -> Router | None:
        """The router of a configured collection, None for every other one."""
        settings = self.settings.entity_for(database, collection)
        return None if settings is None else Router(current, settings.name)

    def entity_of(self, database: str, collection: str) -> str:
        """The name of a configured collection's entity."""
        settings = self.settings.entity_for(database, collection)
        assert settings is not None
        return settings.name

    @property
    def joined(self) -> bool:
        """Whether this process has a place in the fleet, and knows the phases."""
        control = self.control
        return control.ready.is_set() and control.failure is None and control.node.membership.fleet is not None

    async def loop(self) -> Loop:
        """Shadow in the running loop, started when first asked for; waits a moment for the first lease.

        Raises `pymongo.errors.AutoReconnect` where the process has left the fleet.
        """
        if self._ended:
            raise AutoReconnect(
                "Shadow has left the fleet, as this process is ending: register what still makes calls then (atexit) "
                "after Shadow is imported"
            )
        running = asyncio.get_running_loop()
        found = self._loops.get(running)
        if found is not None:
            return found
        opening = self._opening.get(running)
        if opening is None:
            # Not in the first caller's context: what is started outlives the call, and the call's time-outs.
            opening = running.create_task(self._open(running), context=contextvars.Context())
            self._opening[running] = opening
        return await asyncio.shield(opening)

    async def refuse_armed(self, here: LoopEntity) -> None:
        """While this process does not know the phase: refuse an entity whose authority may be elsewhere.

        One that has just appeared is soon known: its first call waits as long as it would for a mark.
        Raises `pymongo.errors.AutoReconnect`.
        """
        if await self._soon_known(here):
            return
        if await here.loop.store(here.entity.name).armed():
            raise AutoReconnect(
                f"the phase of {here.entity.name} is not known while PostgreSQL is away, and its authority may have "
                "moved there: bring PostgreSQL back"
            )

    async def _soon_known(self, here: LoopEntity) -> bool:
        if self.joined and here.entity.name not in self._waited_for:
            self._waited_for.add(here.entity.name)
            limit = time.monotonic() + self.settings.protocol.mark_budget_ms / 1000
            while not here.handle.view().known:
                if time.monotonic() > limit:
                    break
                await asyncio.sleep(_BLINK)
        return here.handle.view().known

    def _appeared(self, name: str) -> Entity:
        """The entity of a collection of a pattern, asked for by its name. Raises `KeyError`."""
        settings = self.settings.entity_named(name)
        if settings is None or settings.legacy.mongo is None or settings.legacy.is_pattern:
            raise KeyError(name)
        database, _, collection = settings.legacy.mongo.partition(".")
        self._add(settings, database, collection)
        if self.control.ready.is_set():
            self.control.add(self.entities[name])
        return self.entities[name]

    def _add(self, settings: EntitySettings, database: str, collection: str) -> None:
        flag = settings.name
        if flag not in self.settings.entities:
            flag = flag.removesuffix(f".{database}.{collection}")
        entity = Entity(settings, flag, database, collection, self.sink)
        self.layouts[settings.name] = entity.layout
        self.entities[settings.name] = entity

    async def _open(self, running: asyncio.AbstractEventLoop) -> Loop:
        self.start()
        limit = running.time() + _JOIN_SECONDS
        while not self.joined:
            if self.control.failure is not None:
                raise StoreDown("Shadow's control thread has ended") from self.control.failure
            if running.time() > limit and self.control.ready.is_set():
                break
            await asyncio.sleep(_GLANCE)
        loop = await Loop.open(self.settings, self.control.node, self.layouts, self.sink)
        self._loops[running] = loop
        self._opening.pop(running, None)
        return loop


class Binding:
    """A client's tie to the runtime (`shadow.facade.contract.Binding`)."""

    def __init__(self) -> None:
        self._routers: dict[tuple[str, str], Router | None] = {}
        self._below: dict[tuple[str, str], bool] = {}

    def router(self, database: str, collection: str) -> Router | None:
        """The collection's router, None if it is not configured."""
        where = (database, collection)
        if where not in self._routers:
            self._routers.setdefault(where, current().router(database, collection))  # as another thread may, now
        return self._routers[where]

    def below(self, database: str, collection: str) -> bool:
        """Whether collections below this one are configured."""
        where = (database, collection)
        if where not in self._below:
            self._below[where] = current().settings.has_below(database, collection)
        return self._below[where]

    async def collections(self, database: str) -> list[str]:
        """The names of the collections of a database that has configured ones; none where it has not.

        Raises pymongo's errors.
        """
        runtime = current()
        return await (await runtime.loop()).collections(database) if runtime.settings.has_database(database) else []

    async def databases(self) -> set[str]:
        """The databases of MongoDB, and of the configured collections that this process knows. Raises pymongo's
        errors."""
        runtime = current()
        there = await (await runtime.loop()).databases()
        return {entity.database for entity in list(runtime.entities.values())}.union(there)

    async def led_by_new(self, database: str) -> dict[str, bool]:
        """The collections of a database that new leads, by name: whether they have records or indexes there.

        Raises pymongo's errors.
        """
        runtime = current()
        if not runtime.settings.has_database(database):
            return {}
        loop = await runtime.loop()
        entities = [entity for entity in list(runtime.entities.values()) if entity.database == database]
        led = [entity for entity in entities if loop.add(entity).handle.view().authority is Store.NEW]
        return {entity.collection: await exists(loop, entity) for entity in led}

    def unit(self, driver_session: Any) -> TransactionUnit:
        """The unit of the transaction that the session has just started."""
        return TransactionUnit(current)


_current: Runtime | None = None
_inherited: Settings | None = None
"""In a child after a fork: its parent's settings, which may never have been in a file."""
_lock = threading.Lock()


def current() -> Runtime:
    """This process's runtime, made from the configuration file when first asked for. Raises `ConfigError`."""
    global _current
    with _lock:
        if _current is None:
            _current = Runtime(_inherited or load())
            _leave_on_sigterm()
        return _current


def install(settings: Settings, sinks: Sequence[Sink] = ()) -> Runtime:
    """Use these settings in this process instead of the configuration file; before the first routed call.

    ``sinks``: further ones, told what metrics and logs are told.
    """
    global _current
    with _lock:
        _current = Runtime(settings, sinks)
        return _current


def attach(kind: str, client: Any) -> Binding:
    """A façade client's binding. ``kind`` is ``motor`` or ``pymongo``."""
    return Binding()


def uninstall() -> None:
    """Leave the fleet, and let the next call begin anew."""
    global _current
    with _lock:
        leaving, _current = _current, None
    portal.close()
    if leaving is not None:
        leaving.stop()


def _leave_at_exit() -> None:
    """At the end of the process, after what the application had registered for that since it imported Shadow."""
    portal.close_for_good()
    if _current is not None:
        _current.stop()


def _leave_on_sigterm() -> None:
    """Let SIGTERM be a clean goodbye where the application has no handler of its own; then it ends as it would have.

    Only the main thread may say so. Synchronous applications meet the runtime there, though they start it elsewhere.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave_and_end)


def _leave_and_end(number: int, _: FrameType | None) -> None:
    if _current is not None:
        _current.stop()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _after_fork() -> None:
    """A child has its own identity, thread, pools and metrics: what it inherited belongs to its parent."""
    global _current, _inherited, _lock
    _lock = threading.Lock()
    if _current is not None:
        _inherited = _current.settings
        _current = None
    for router in list(ROUTERS):
        router.reset()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_leave_at_exit)
