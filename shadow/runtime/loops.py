"""What one event loop of the application needs: its lane, its pools, its clients, and each entity as it sees it.

Everything here belongs to one event loop and ends with it: a guard task closes it when the loop cancels its tasks at
the end (`asyncio.run`). Marks that are still open then are taken over by the control thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from shadow.compare.judge import Judge, Verdict
from shadow.compare.report import Report
from shadow.compare.samples import Sampler
from shadow.compare.worker import Comparer, Comparison, Limits
from shadow.config import Settings
from shadow.metrics.sink import Sink
from shadow.protocol.handle import Handle
from shadow.protocol.lane import Lane
from shadow.protocol.marks import Held
from shadow.protocol.node import Node
from shadow.runtime.capture import Capture
from shadow.runtime.entity import Entity
from shadow.stores import OwnClient, driver_info
from shadow_adapters.contract import Key
from shadow_adapters.mongo.store import MongoStore
from shadow_adapters.postgres.control import PostgresControl
from shadow_adapters.postgres.layouts import Layout
from shadow_adapters.postgres.pool import Pool, create_pool
from shadow_adapters.postgres.samples import NewSample, insert_samples, note_repaired

_FLUSH = 1.0
_PAUSE = 0.05
_KEPT_SAMPLES = 100


class LoopEntity:
    """An entity in one event loop: its handle, and who compares for it."""

    def __init__(
        self, loop: Loop, entity: Entity, handle: Handle, comparer: Comparer, report: Report, rehearsals: Report
    ) -> None:
        self.loop = loop
        self.entity = entity
        self.refuses = entity.settings.on_lapse == "refuse"
        self.handle = handle
        self.comparer = comparer
        self.report = report
        self.rehearsals = rehearsals
        self.rehearsing = 0
        self.mirroring: asyncio.Task[None] | None = None  # of indexes; made when a process first marks
        self.unmirrored: str | None = None  # what has changed indexes since the last mirroring began
        self.alterations: set[asyncio.Task[None]] = set()  # that follow on legacy
        self.altering = asyncio.Lock()  # one after the other
        self.repaired: set[Key] = set()  # since the samples were stored last


class Loop:
    """Shadow in one event loop. Made inside it by `Loop.open`."""

    def __init__(self, settings: Settings, node: Node, pool: Pool, layouts: Mapping[str, Layout], sink: Sink) -> None:
        assert settings.stores.postgres is not None and settings.stores.mongo is not None
        self.settings = settings
        self.node = node
        self.pool = pool
        self.sink = sink
        self.entities: dict[str, LoopEntity] = {}
        self._stores: dict[str, MongoStore] = {}
        self._client = OwnClient(settings.stores.mongo.get_secret_value(), driver=driver_info())
        self.control = PostgresControl(
            settings.stores.postgres.get_secret_value(),
            node.me.id,
            layouts,
            settle_seconds=node.terms.settle,
        )
        self.lane: Lane = node.new_lane(self.control, self._stores.__getitem__)
        self._guard: asyncio.Task[None] | None = None
        self._repairs: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, settings: Settings, node: Node, layouts: Mapping[str, Layout], sink: Sink) -> Loop:
        """Start Shadow in the running loop. Needs neither store to be there."""
        assert settings.stores.postgres is not None
        pool = await create_pool(
            settings.stores.postgres.get_secret_value(),
            min_size=0,
            max_size=settings.protocol.pool_size,
            role="data",
            asynchronous_commit=False,
        )
        loop = cls(settings, node, pool, layouts, sink)
        loop.lane.start()
        loop._guard = asyncio.get_running_loop().create_task(loop._watch())
        return loop

    def add(self, entity: Entity) -> LoopEntity:
        """Let the loop take part in an entity."""
        found = self.entities.get(entity.name)
        if found is None:
            self._stores[entity.name] = MongoStore(self._client, entity.database, entity.collection, entity.name)
            sampler = Sampler(entity.name, self._storing(entity), self.sink)
            report = Report(entity.name, self.sink, sampler, entity.bound)
            rehearsals = Report(entity.name, self.sink, sampler, entity.rehearsed)
            handle = self.node.handle(entity.name)
            comparer = self._comparer(entity, report, sampler)
            found = LoopEntity(self, entity, handle, comparer, report, rehearsals)
            self.entities[entity.name] = found
        return found

    def store(self, entity: str) -> MongoStore:
        """The entity's legacy store."""
        return self._stores[entity]

    async def collections(self, database: str) -> list[str]:
        """The names of a database's collections. The application's own client, which may be watched, is not asked.

        Raises pymongo's errors.
        """
        return await self._client[database].list_collection_names()

    async def databases(self) -> list[str]:
        """The names of the databases, asked for as in `collections`. Raises pymongo's errors."""
        return await self._client.list_database_names()

    async def is_marked(self, entity: str, key: Key | None) -> bool:
        """Whether a mark of the key (None: any of the entity) or a debt is open, or nothing follows any more.

        A comparison may end after the step that gave the follower up: what differs then says nothing.
        """
        sql = (
            "SELECT EXISTS (SELECT FROM shadow.mark m WHERE m.entity = $1 AND m.closed_at IS NULL "
            "AND ($2::bytea IS NULL OR m.key IS NULL OR m.key = $2)) "
            "OR EXISTS (SELECT FROM shadow.debt d WHERE d.entity = $1 AND d.paid_at IS NULL) "
            "OR EXISTS (SELECT FROM shadow.entity e WHERE e.entity = $1 AND e.phase IN ('legacy', 'new'))"
        )
        if self.node.book.is_open(entity, key):
            return True  # PostgreSQL need not know it yet: it may have been away
        async with self.pool.connection() as conn:
            return bool(await conn.fetchval(sql, entity, key))

    async def is_marked_beside(self, entity: str, marks: Sequence[Held]) -> bool:
        """Whether other marks of the same keys, or keyless ones, were open at any time since these were opened, or a
        debt is: an earlier mark's sync may have copied what the write under these has changed."""
        sql = (
            "SELECT EXISTS (SELECT FROM shadow.mark m, unnest($2::bytea[]) k WHERE m.entity = $1 AND m.key = k "
            "AND substr(m.key, 1, 1024) = substr(k, 1, 1024) AND NOT (m.owner = $3 AND m.seq = ANY($4::bigint[])) "
            "AND (m.closed_at IS NULL OR m.closed_at >= to_timestamp($5))) "
            "OR EXISTS (SELECT FROM shadow.mark m WHERE m.entity = $1 AND m.key IS NULL "
            "AND (m.closed_at IS NULL OR m.closed_at >= to_timestamp($5))) "
            "OR EXISTS (SELECT FROM shadow.debt d WHERE d.entity = $1 "
            "AND (d.paid_at IS NULL OR d.paid_at >= to_timestamp($5)))"
        )
        keys, seqs = [held.key for held in marks], [held.seq for held in marks]
        since = min(held.opened_at or 0.0 for held in marks)
        async with self.pool.connection() as conn:
            return bool(await conn.fetchval(sql, entity, keys, self.node.me.id, seqs, since))

    def _comparer(self, entity: Entity, report: Report, sampler: Sampler) -> Comparer:
        async def marked(key: Key | None) -> bool:
            return await self.is_marked(entity.name, key)

        async def repair(key: Key | None) -> None:
            if key is not None:
                await self.repair(entity.name, key)

        def told(comparison: Comparison, verdict: Verdict, seconds: float | None) -> None:
            if seconds is not None:
                entity.took(comparison.asked, comparison.op, seconds)
            report.verdict(comparison, verdict, seconds)

        return Comparer(
            account=entity.account,
            judge=Judge(is_open=marked, expiring=lambda _: False, pause=_PAUSE),
            limits=Limits(count=self.settings.protocol.compare_queue),
            on_verdict=told,
            on_mismatch=repair,
            on_error=report.error,
            capture=Capture(entity, sampler, self._stores[entity.name], self.pool),
        )

    def _storing(self, entity: Entity) -> Callable[[Sequence[NewSample]], Awaitable[None]]:
        async def store(samples: Sequence[NewSample]) -> None:
            async with self.pool.connection() as conn:
                await insert_samples(conn, entity.name, samples, keep=_KEPT_SAMPLES)

        return store

    async def repair(self, entity: str, key: Key) -> None:
        """Mark a key whose records were seen to differ, and sync it."""
        handle = self.entities[entity].handle
        marks = await self.lane.marker.mark(handle.view, [key])
        for held in marks:
            self.lane.book.settle(held)
        chore = asyncio.get_running_loop().create_task(self._repaired(entity, key, marks))
        self._repairs.add(chore)
        chore.add_done_callback(self._repairs.discard)

    async def _repaired(self, entity: str, key: Key, marks: Sequence[Held]) -> None:
        """Once the key is synced, have its samples say so; where that takes too long they stay as they are."""
        if await self.lane.synced(marks, asyncio.get_running_loop().time() + self.node.terms.settle):
            self.entities[entity].repaired.add(key)

    async def _flush(self, here: LoopEntity) -> None:
        """Publish the account, store samples, then note which of them are repaired. Raises what the store raises."""
        here.entity.account.publish()
        repaired, here.repaired = here.repaired, set()
        try:
            await here.report.flush()
            if repaired:
                async with self.pool.connection() as conn:
                    await note_repaired(conn, here.entity.name, list(repaired))
        except BaseException:
            here.repaired |= repaired
            raise

    async def close(self) -> None:
        """End Shadow in this loop. What is queued stays marked."""
        for each in list(self.entities.values()):
            await each.comparer.close()
            each.entity.account.publish()
        for chore in self._repairs:
            chore.cancel()
        await self.lane.stop()
        self.node.forget(self.lane, [each.handle for each in self.entities.values()])
        await self.control.disconnect()
        await self.pool.close()
        await self._client.close()

    async def _watch(self) -> None:
        """Flush samples now and then; close everything when the loop ends."""
        try:
            while True:
                await asyncio.sleep(_FLUSH)
                # Others appear meanwhile: an iteration of the dict itself would end the watch, and Shadow in this loop
                for each in list(self.entities.values()):
                    try:
                        await self._flush(each)
                    except Exception:  # counted by the sampler; samples must not end the watch
                        continue
        finally:
            await self.close()
