"""Keys that wait for their sync: coalesced, bounded, and never the only trace of what must be done.

A key that finds the queue full is not queued; its mark stays open and the reconciler syncs it later. That is counted.
"""

from __future__ import annotations

import asyncio
import contextlib

from shadow_adapters.contract import Key


class SyncQueue:
    """The queue of one event loop."""

    def __init__(self, max_keys: int, max_bytes: int) -> None:
        self._waiting: dict[str, dict[Key, None]] = {}
        self._turn = asyncio.Lock()
        self._urgent = asyncio.Event()
        self._max_keys = max_keys
        self._max_bytes = max_bytes
        self._arrived = asyncio.Event()
        self.keys = 0
        self.bytes = 0
        self.shed = 0

    def put(self, entity: str, key: Key, *, urgent: bool = False) -> bool:
        """Queue the key; True also where it waits already, False where the queue is full."""
        waiting = self._waiting.setdefault(entity, {})
        if key not in waiting:
            if self.keys >= self._max_keys or self.bytes + len(key) > self._max_bytes:
                self.shed += 1
                return False
            waiting[key] = None
            self.keys += 1
            self.bytes += len(key)
        if urgent:
            self._urgent.set()
        self._arrived.set()
        return True

    def waiting(self, entity: str) -> tuple[int, int]:
        """How many keys of an entity wait, and their bytes. From any thread; the figures may be a moment old."""
        keys = list(self._waiting.get(entity, ()))
        return len(keys), sum(map(len, keys))

    async def take(self, limit: int, delay: float) -> tuple[str, list[Key]]:
        """Up to ``limit`` keys of one entity. Lingers ``delay`` seconds, unless somebody awaits a sync.

        One worker at a time: several that linger would share out what one sync could do.
        """
        async with self._turn:
            while True:
                while not self.keys:
                    self._arrived.clear()
                    await self._arrived.wait()
                if not self._urgent.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(delay):
                            await self._urgent.wait()
                if self.keys:
                    return self._pop(limit)

    def _pop(self, limit: int) -> tuple[str, list[Key]]:
        entity = next(iter(self._waiting))
        waiting = self._waiting.pop(entity)
        keys = list(waiting)[:limit]
        for key in keys:
            del waiting[key]
        self.keys -= len(keys)
        self.bytes -= sum(map(len, keys))
        if waiting:
            self._waiting[entity] = waiting  # behind the others: no entity starves another
        if not self.keys:
            self._urgent.clear()
        return entity, keys
