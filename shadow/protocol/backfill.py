"""Backfill: bring into new what was in legacy before anybody marked.

Chunk by chunk in the order of the byte keys: read a chunk of legacy, insert into new what new does not have, and then
sync every key of the chunk that was there already, or of which a mark was open at any time since the chunk was read:
the chunk may be older than what a sync has put meanwhile. Rows of new that legacy does not have are swept at the end by
a verify, which syncs whatever differs.

It begins one settling time after the last process acknowledged that it marks: a write of before may apply late, and no
mark tells of it. Resumable: a chunk keeps the start time under which it was read first.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass

from shadow.protocol.lane import Lane
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.contract import Control, Key, Legacy, New, Record
from shadow_adapters.failures import StoreDown

_JOB = "backfill"


@dataclass(slots=True)
class Progress:
    """How far the backfill of an entity is."""

    records: int = 0
    synced: int = 0
    refused: int = 0
    after: Key | None = None
    chunk_since: float | None = None  # when the chunk after ``after`` was first read

    def as_state(self, dual_since: float) -> dict[str, object]:
        """What control keeps of it; ``dual_since`` names the stay in ``dual_write`` that it belongs to."""
        after = None if self.after is None else base64.b64encode(self.after).decode()
        return {
            "records": self.records,
            "synced": self.synced,
            "refused": self.refused,
            "after": after,
            "chunk_since": self.chunk_since,
            "dual_since": dual_since,
        }


class Backfill:
    """The backfill of one entity.

    Args:
        now: PostgreSQL's clock.
        progress: told after every chunk.
        pause: seconds to wait after a chunk that took so many seconds to read, to spare the legacy store.
    """

    def __init__(
        self,
        entity: str,
        legacy: Legacy,
        new: New,
        lane: Lane,
        control: Control,
        terms: Terms,
        view: Callable[[], View],
        now: Callable[[], float | None],
        progress: Callable[[Progress], None] = lambda _: None,
        pause: Callable[[float], float] = lambda seconds: seconds,
    ) -> None:
        self._entity = entity
        self._legacy = legacy
        self._new = new
        self._lane = lane
        self._control = control
        self._terms = terms
        self._view = view
        self._now = now
        self._tell = progress
        self._pause = pause

    async def run(self, dual_since: float) -> Progress:
        """Copy the entity; returns when every chunk is done. Raises `StoreDown`, `EpochMoved`; may be run again."""
        at = await self._resume(dual_since)
        while True:
            at.chunk_since = at.chunk_since or self._clock()
            await self._control.save_job(self._entity, _JOB, at.as_state(dual_since))
            began = asyncio.get_running_loop().time()
            page = await self._legacy.scan(at.after, self._terms.backfill_chunk)
            took = asyncio.get_running_loop().time() - began
            if not page:
                return at
            await self._chunk(at, dict(page))
            at.after, at.chunk_since = page[-1][0], None
            self._tell(at)
            await asyncio.sleep(self._pause(took))

    async def _chunk(self, at: Progress, records: dict[Key, Record]) -> None:
        assert at.chunk_since is not None
        present = await self._new.insert_absent(self._view().term, records)
        marked = await self._control.marked_since(self._entity, at.chunk_since)
        at.records += len(records)
        to_sync = [key for key in records if key in present or key in marked]
        for start in range(0, len(to_sync), self._terms.sync_batch):
            await self._sync(at, to_sync[start : start + self._terms.sync_batch])

    async def _sync(self, at: Progress, keys: list[Key]) -> None:
        outcome = await self._lane.sync(self._entity, keys)
        at.synced += len(outcome.done)
        at.refused += len(outcome.refused)
        if outcome.failed:
            raise StoreDown(next(iter(outcome.failed.values())))

    async def _resume(self, dual_since: float) -> Progress:
        """Where an earlier run left off, if it belongs to this stay in ``dual_write``."""
        state = await self._control.load_job(self._entity, _JOB)
        if not state or state["dual_since"] != dual_since:
            return Progress()
        since = state["chunk_since"]
        if since is not None and self._clock() - since > self._terms.retention / 2:
            return Progress()  # the closed marks that tell of this chunk may be purged
        after = None if state["after"] is None else base64.b64decode(state["after"])
        return Progress(state["records"], state["synced"], state["refused"], after, since)

    def _clock(self) -> float:
        now = self._now()
        if now is None:
            raise StoreDown("PostgreSQL's clock is not known yet")
        return now
