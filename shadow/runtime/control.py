"""The control thread: leases, flags, conducting, reconciling, backfills, in a loop and on connections of its own.

A blocked loop of the application does not lapse the lease, since nothing here runs in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pymongo.errors import PyMongoError

from shadow.config import ProtocolSettings, Settings
from shadow.logs import log
from shadow.metrics import table
from shadow.metrics.sink import Sink
from shadow.protocol.lane import Lane
from shadow.protocol.node import Node, Wishes
from shadow.protocol.settings import Terms
from shadow.runtime.breaker import Breaker
from shadow.runtime.entity import Entity
from shadow.runtime.evidence import asks_for_clients, budgets, evidence, seen
from shadow.runtime.expiry import expire
from shadow.runtime.identity import surely_gone, this_process
from shadow.runtime.observer import Told
from shadow.schema import expanded
from shadow.stores import mongo_client
from shadow.strangers import in_the_way
from shadow_adapters.contract import Burden, EntityState, Fleet
from shadow_adapters.mongo.outcomes import store_error
from shadow_adapters.mongo.store import MongoStore
from shadow_adapters.postgres.admission import admit
from shadow_adapters.postgres.control import PostgresControl
from shadow_adapters.postgres.layouts import Layout
from shadow_adapters.postgres.pool import create_pool
from shadow_adapters.postgres.records import PostgresRecords
from shadow_flags.gates import gates
from shadow_flags.phases import Phase, Store
from shadow_flags.sources.base import Source
from shadow_flags.sources.static import StaticSource
from shadow_flags.sources.unleash import UnleashSource

_FACTS_EVERY = 1.0
_EXPIRE_EVERY = 60.0  # seconds, as MongoDB's own monitor
_DISCOVER_EVERY = 10.0


def terms_of(settings: ProtocolSettings) -> Terms:
    """The protocol's terms from the configuration."""
    return Terms(
        lease=settings.lease_seconds,
        renew=settings.renew_seconds,
        settle=settings.settle_seconds,
        mark_budget=settings.mark_budget_ms / 1000,
        sync_timeout=settings.sync_timeout_ms / 1000,
        fence=settings.fence_seconds,
        fence_limit=settings.fence_limit_seconds,
        many_limit=settings.many_limit,
        queue_keys=settings.queue_keys,
        queue_bytes=settings.queue_bytes,
        sync_batch=settings.sync_batch,
        sync_delay=settings.sync_delay_ms / 1000,
        retention=settings.mark_retention_seconds,
        backfill_chunk=settings.backfill_chunk,
    )


def _unforeseen(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error(context["message"], error=context.get("exception"))


class ControlThread:
    """Runs a `Node` in a daemon thread. Make it, then `start` it; `stop` leaves the fleet.

    Attributes:
        node: this process in the fleet; there once `ready` is set.
        told: what blocks, how long fences took, how far backfills are.
    """

    def __init__(
        self, settings: Settings, entities: dict[str, Entity], layouts: Mapping[str, Layout], sink: Sink
    ) -> None:
        assert settings.stores.postgres is not None
        self._settings = settings
        self._dsn = settings.stores.postgres.get_secret_value()
        self._entities = entities
        self._layouts = layouts
        self._sink = sink
        self._legacy: dict[str, MongoStore] = {}
        self._new: dict[str, PostgresRecords] = {}
        self._without_table: set[str] = set()
        self._breaker = Breaker(settings.gates)
        self._held_entities: set[str] = set()
        self._expire_next = 0.0
        self._discover_at = 0.0
        self.told = Told(sink)
        self.ready = threading.Event()
        self.failure: BaseException | None = None
        self.node: Node
        self.loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="shadow-control", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Leave the fleet cleanly, and end the thread."""
        if self.loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.failure = error
            log.error("control thread ended", error=error)
        finally:
            self.ready.set()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(_unforeseen)
        self._ending = asyncio.Event()
        settings = self._settings.protocol
        me = this_process()
        pool = await create_pool(self._dsn, min_size=0, max_size=4, role="jobs", asynchronous_commit=False)
        self._client = mongo_client(self._settings)
        control = PostgresControl(self._dsn, me.id, self._layouts, settle_seconds=settings.settle_seconds)
        self._control, self._pool = control, pool
        folder = settings.journal or Path(tempfile.gettempdir()) / "shadow"
        self.node = Node(
            me,
            folder,
            terms_of(settings),
            control,
            self._legacy_of,
            self._new_of,
            Wishes(self._aim, self._blocked, self._tripped, gone=surely_gone, order=self._order, refuses=self._refuses),
            self.told,
            journal_bytes=settings.journal_max_bytes,
            clock=time.monotonic,
        )
        for entity in list(self._entities.values()):
            self._take(entity)
        source = await self._start_source()
        self.node.start()
        self.ready.set()
        await self._chores(source)
        self._count_direct()
        await self.node.stop()
        await source.close()
        await control.disconnect()
        await pool.close()
        await self._client.close()

    def add(self, entity: Entity) -> None:
        """Let the node take part in an entity that appeared later, and soon know its phase. From any thread."""
        assert self.loop is not None
        self.node.add(entity.name)
        self.loop.call_soon_threadsafe(self.node.membership.hasten)
        if threading.current_thread() is self._thread:
            self._take(entity)
        else:
            self.loop.call_soon_threadsafe(self._take, entity)

    def _take(self, entity: Entity) -> None:
        self._legacy[entity.name] = MongoStore(self._client, entity.database, entity.collection, entity.name)
        self._new[entity.name] = PostgresRecords(self._pool, entity.layout)
        self.node.add(entity.name)
        if entity.flag != entity.name:
            self._without_table.add(entity.name)

    async def _expire(self) -> None:
        """Once in a while, and in one process: what new's own indexes let expire, where legacy is not the authority."""
        now = time.monotonic()
        if not self.node.conductor.conducting or now < self._expire_next:
            return
        self._expire_next = now + _EXPIRE_EVERY
        for entity in list(self._entities.values()):
            view = self.node.views[entity.name]
            if view.authority is Store.NEW:
                await expire(entity, view, self._pool, time.time())

    def _legacy_of(self, name: str) -> MongoStore:
        """An entity's legacy store; another process may have been the first to meet the entity."""
        if name not in self._legacy:
            self._take(self._entities[name])
        return self._legacy[name]

    def _new_of(self, name: str) -> PostgresRecords:
        self._legacy_of(name)
        return self._new[name]

    async def _make_tables(self) -> None:
        """Have tables made for collections that appeared; what cannot be made now is tried again."""
        for name in sorted(self._without_table):
            try:
                async with self._pool.connection() as conn:
                    await admit(conn, name)
            except Exception as error:
                log.debug("a table could not be made", entity=name, error=error)
            else:
                self._without_table.discard(name)

    async def _discover(self) -> None:
        """Meet the collections of patterns that nobody has used yet."""
        if not self.node.conductor.conducting or time.monotonic() < self._discover_at:
            return
        self._discover_at = time.monotonic() + _DISCOVER_EVERY
        for settings in await expanded(self._settings, self._client):
            self._entities[settings.name]

    async def _chores(self, source: Source) -> None:
        """Keep the flags' wishes, facts and gauges fresh until the end."""
        while not self._ending.is_set():
            self._count_direct()
            for entity in list(self._entities.values()):
                entity.wanted = source.snapshot(entity.flag)
            self._begin_anew()
            try:
                if self.node.membership.fleet is not None:
                    await self._control.state_facts(self.node.me.id, seen(list(self._entities.values())))
                await self._gauges()
            except Exception as error:
                log.debug("facts not stored", error=error)
            try:
                await self._discover()
            except Exception as error:
                log.debug("collections not seen", error=error)
            await self._make_tables()
            try:
                await self._expire()
            except Exception as error:
                log.warning("expired documents not deleted", error=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FACTS_EVERY):
                    await self._ending.wait()

    async def _start_source(self) -> Source:
        flags = self._settings.flags
        names = list(self._settings.entities)
        source: Source
        if flags.source == "unleash":
            assert flags.url is not None and flags.token is not None
            source = UnleashSource(
                flags.url,
                flags.token.get_secret_value(),
                names,
                environment=flags.environment,
                refresh_seconds=flags.refresh_seconds,
                cache=flags.cache,
            )
        else:
            assert self._settings.path is not None
            source = StaticSource(self._settings.path, names)
        loop = asyncio.get_running_loop()

        def refresh() -> None:
            for entity in list(self._entities.values()):
                entity.wanted = source.snapshot(entity.flag)

        await source.start(lambda: loop.call_soon_threadsafe(refresh))
        refresh()
        return source

    def _aim(self, entity: str, settled: Phase) -> Phase | None:
        try:
            found = self._entities[entity]
        except KeyError:
            return None  # of a configuration that is not this process's
        if not found.wanted.known:
            return None
        return found.wanted.aim(settled)

    async def _blocked(self, state: EntityState, target: Phase, burden: Burden, fleet: Fleet) -> list[str]:
        facts = await self._control.facts(state.entity)
        given = self._settings.gates
        try:
            if target is Phase.DUAL_WRITE and await self._is_view(self._entities[state.entity]):
                return ["it is a view, which has no records of its own: it stays with legacy"]
            clients = await in_the_way(self._client) if asks_for_clients(target, given) else []
        except PyMongoError as error:
            raise store_error(error) from error
        known = evidence(state, burden, fleet, facts, clients=clients, waived=given.waived)
        found = gates(target, known, budgets(given))
        for gate, why in found.items():
            self._sink.set(table.GATE_BLOCKED, (state.entity, gate), float(bool(why)))
        return [why for why in found.values() if why]

    async def _tripped(self, state: EntityState) -> list[str]:
        return self._breaker.look(state.entity, Phase(state.phase), await self._control.facts(state.entity))

    async def _is_view(self, entity: Entity) -> bool:
        """Whether a pattern covers what is no collection. Raises pymongo's errors."""
        if entity.flag == entity.name:
            return False  # `shadow check` says so of one that is named
        found = await self._client[entity.database].list_collections(filter={"name": entity.collection})
        return any(each.get("type", "collection") != "collection" for each in await found.to_list())

    def _refuses(self, entity: str | None) -> bool:
        if entity is None:
            return all(each.on_lapse == "refuse" for each in self._settings.entities.values())
        configured = self._settings.entity_named(entity)
        return configured is not None and configured.on_lapse == "refuse"

    def _order(self) -> Sequence[str]:
        """The entities, parents before children."""
        done: list[str] = []

        def visit(name: str) -> None:
            entity = self._entities.get(name)
            if entity is None or name in done:
                return
            for parent in entity.settings.parents:
                if parent != name:
                    visit(parent)
            done.append(name)

        for name in list(self._entities):
            visit(name)
        return done

    def _begin_anew(self) -> None:
        """Forget what an entity was held for once somebody has cleared its breaker: whoever did knows of it."""
        held = {name for name in list(self._entities) if self.node.membership.held(name) is not None}
        for name in self._held_entities - held:
            self._entities[name].forget_evidence()
        self._held_entities = held

    def _count_direct(self) -> None:
        """Tell metrics of the calls that the driver was asked for directly, which told nobody themselves."""
        for entity in list(self._entities.values()):
            if fresh := entity.direct.fresh():
                self._sink.add(table.DIRECT, (entity.name,), fresh)

    async def _gauges(self) -> None:
        node, sink = self.node, self._sink
        sink.set(table.JOURNAL_BYTES, (), node.journal.size)
        sink.set(table.LEASE_AGE_SECONDS, (), node.membership.lease_age())
        sink.set(table.CONNECTIONS, ("postgres",), self._control.connections + sum(map(_held, list(node.lanes))))
        for name in list(self._entities):
            view = node.views.get(name)
            if view is None or not view.known:
                continue
            sink.set(table.PHASE, (name,), view.phase.rank)
            held = node.membership.held(name)
            sink.set(table.BREAKER_OPEN, (name,), float(held is not None))
            sink.set(table.EPOCH, (name,), view.epoch)
            waiting = [lane.queue.waiting(name) for lane in list(node.lanes)]
            sink.set(table.SYNC_QUEUE_KEYS, (name,), sum(keys for keys, _ in waiting))
            sink.set(table.SYNC_QUEUE_BYTES, (name,), sum(size for _, size in waiting))
            if node.conductor.conducting:
                burden = await self._control.burden(name)
                now = node.server_time()
                age = 0.0 if burden.oldest_mark is None or now is None else max(0.0, now - burden.oldest_mark)
                sink.set(table.OLDEST_MARK_SECONDS, (name,), age)
                sink.set(table.OPEN_MARKS, (name,), burden.marks)
                sink.set(table.DEBTS, (name,), burden.debts)
                sink.set(table.REFUSED_KEYS, (name,), burden.refused)


def _held(lane: Lane) -> int:
    """Connections that a lane's control holds."""
    return lane.control.connections if isinstance(lane.control, PostgresControl) else 0
