"""What one event loop needs to mark and to sync: its marker, its queue, its workers, its own connections.

A process has one lane for each event loop that uses it, and one in the control thread. They share the process's marks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from uuid import UUID

from shadow.protocol.journal import Journal
from shadow.protocol.lasting import lasting
from shadow.protocol.marker import Marker, Standing
from shadow.protocol.marks import Held, MarkBook
from shadow.protocol.queue import SyncQueue
from shadow.protocol.settings import Terms
from shadow.protocol.sync import Outcome, Syncer, SyncObserver
from shadow.protocol.view import View
from shadow_adapters.contract import Control, Key, Legacy, MarkId
from shadow_adapters.failures import StoreError
from shadow_flags.phases import Store


class Lane:
    """The protocol in one event loop.

    Args:
        legacy: an entity's legacy store, reached from this loop.
    """

    def __init__(
        self,
        me: UUID,
        book: MarkBook,
        control: Control,
        journal: Journal,
        terms: Terms,
        standing: Standing,
        views: Mapping[str, View],
        legacy: Callable[[str], Legacy],
        observer: SyncObserver,
    ) -> None:
        self.book = book
        self.terms = terms
        self.control = control
        self.marker = Marker(me, book, control, journal, terms, standing)
        self.queue = SyncQueue(terms.queue_keys, terms.queue_bytes)
        self._me = me
        self._views = views
        self._legacy = legacy
        self._syncer = Syncer(me, book, control, terms, observer)
        self._workers: list[asyncio.Task[None]] = []
        self._unneeded: list[Held] = []
        self._dropping = False
        self._followed: dict[tuple[str, Key], list[asyncio.Future[None]]] = {}
        self._chores: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the workers in the running loop."""
        loop = asyncio.get_running_loop()
        self._workers = [
            loop.create_task(lasting(self._work, self.terms.renew)) for _ in range(self.terms.sync_workers)
        ]

    async def stop(self) -> None:
        """Stop the workers; what is queued stays marked."""
        for task in [*self._workers, *self._chores]:
            task.cancel()
        await asyncio.gather(*self._workers, *self._chores, return_exceptions=True)

    def enqueue(self, marks: Iterable[Held], *, urgent: bool = False) -> None:
        """Queue the keys of the marks for a sync."""
        for held in marks:
            if held.key is not None:
                self.queue.put(held.entity, held.key, urgent=urgent)

    def enqueue_after(self, rehearsal: Coroutine[None, None, None], marks: Sequence[Held]) -> None:
        """Queue the keys once a rehearsal, which needs the follower as it was before the write, is over."""
        self._spawn(self._enqueue_after(rehearsal, marks))

    async def synced(self, marks: Sequence[Held], until: float) -> bool:
        """Wait until syncs have closed the marks (a debt those without a key), or until the loop time ``until``."""
        loop = asyncio.get_running_loop()
        waiting = []
        for held in marks:
            if not held.waited:
                waiter = loop.create_future()
                held.waiters.append(waiter)
                waiting.append(waiter)
        self.enqueue(marks, urgent=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                for waiter in waiting:
                    await waiter
                return True
        return False

    async def follow(self, view: View, keys: Sequence[Key]) -> None:
        """Sync the keys of a write on new, whose outbox has marked them, sooner than the reconciler would.

        Where the view awaits syncs, the writer waits for them, or until the sync's time-out.
        """
        loop = asyncio.get_running_loop()
        waiting = []
        for key in keys:
            if self.queue.put(view.entity, key, urgent=view.awaits) and view.awaits:
                waiting.append(loop.create_future())
                self._followed.setdefault((view.entity, key), []).append(waiting[-1])
        if waiting:
            await asyncio.wait(waiting, timeout=self.terms.sync_timeout)

    def drop(self, marks: Sequence[Held]) -> None:
        """Close marks whose write changed nothing, unless other writes use them."""
        for held in marks:
            self.book.settle(held)
            self.book.retire(held)
            if held.users == 0 and held.writes == 1:
                self._unneeded.append(held)
            else:
                self.enqueue([held])
        if self._unneeded and not self._dropping:
            self._dropping = True
            self._spawn(self._drop())

    async def named(self, held: Held, key: Key, until: float) -> bool:
        """Give a keyless mark the key that the server chose, then settle and queue it.

        Control must know the key before a sync may close the mark, so it is settled only then; that goes on in the
        background where it takes longer than ``until`` (loop time). Whether it is done.
        """
        task = self._spawn(self._name(held, key))
        await asyncio.wait([task], timeout=max(0.0, until - asyncio.get_running_loop().time()))
        return task.done()

    async def sync(
        self, entity: str, keys: Sequence[Key], orphans: Mapping[Key, Sequence[MarkId]] | None = None
    ) -> Outcome:
        """Sync keys now, outside the queue."""
        return await self._syncer.sync(self._views[entity], self._legacy(entity), keys, orphans)

    def settled_at(self) -> float:
        """The loop time at which a write whose outcome is unknown now is surely applied or never will be."""
        return asyncio.get_running_loop().time() + self.terms.settle

    async def _work(self) -> None:
        while True:
            entity, keys = await self.queue.take(self.terms.sync_batch, self.terms.sync_delay)
            followed = [waiter for key in keys for waiter in self._followed.pop((entity, key), ())]
            view = self._views[entity]
            if view.authority is Store.LEGACY:  # another's sync was quicker, or a write is on its way and queues anew
                keys = self.book.owing(entity, keys)
            if keys and view.follows:
                await self.sync(entity, keys)
            for waiter in followed:
                if not waiter.done():
                    waiter.set_result(None)

    async def _enqueue_after(self, rehearsal: Coroutine[None, None, None], marks: Sequence[Held]) -> None:
        try:
            await rehearsal
        finally:
            self.enqueue(marks)

    async def _drop(self) -> None:
        """Close what writes did not need, a batch at a time; what control does not hear of is synced instead."""
        try:
            while self._unneeded:
                await asyncio.sleep(self.terms.sync_delay)
                marks, self._unneeded = self._unneeded, []
                with contextlib.suppress(StoreError):
                    await self.control.drop(self._me, [held.seq for held in marks])
                    self.book.closed(marks)
        finally:
            self._dropping = False

    async def _name(self, held: Held, key: Key) -> None:
        try:
            while True:
                try:
                    await self.control.name(self._me, held.seq, key)
                    break
                except StoreError:
                    await asyncio.sleep(self.terms.renew)
        except BaseException:  # the loop ends: what it does not name any more becomes a debt
            self.book.unsettle(held, 0.0)
            raise
        self.book.rename(held, key)
        self.book.settle(held)
        self.enqueue([held])

    def _spawn(self, chore: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task
