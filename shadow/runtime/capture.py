"""Makes a case of a confirmed mismatch: reads what both stores have of the records concerned, before the repair."""

from __future__ import annotations

import asyncio

from shadow.compare.case import Case, made
from shadow.compare.judge import Verdict, concerned
from shadow.compare.samples import Sampler
from shadow.compare.worker import Comparison
from shadow.logs import log
from shadow.runtime.entity import Entity
from shadow_adapters.bson.codec import decode
from shadow_adapters.mongo.store import MongoStore
from shadow_adapters.postgres.pool import Pool

_SECONDS = 2.0
_OTHER = {"legacy": "new", "new": "legacy"}


class Capture:
    """Captures for one entity in one event loop.

    Args:
        sampler: asked whether the sample would be held at all, so that a storm of mismatches is none of reads.
    """

    def __init__(self, entity: Entity, sampler: Sampler, legacy: MongoStore, pool: Pool) -> None:
        self._entity = entity
        self._sampler = sampler
        self._legacy = legacy
        self._pool = pool

    async def __call__(self, comparison: Comparison, verdict: Verdict) -> Case | None:
        """The case; None where none can be made. Never raises: a mismatch counts and is repaired without one, too."""
        if self._entity.settings.new.layout != "documents" or not self._sampler.wants(verdict.state):
            return None
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._captured(comparison, verdict)
        except Exception as error:
            log.debug("no case of a mismatch", entity=self._entity.name, op=comparison.op, error=error)
            return None

    async def _captured(self, comparison: Comparison, verdict: Verdict) -> Case | None:
        assert verdict.difference is not None
        found = verdict.difference
        keys = list(concerned(found) | ({verdict.key} if verdict.key is not None else set()))
        legacy = await self._legacy.read(keys)
        async with self._pool.connection() as conn:
            new = await self._entity.engine.find_records(conn, keys)
        follower = comparison.asked if comparison.by_authority else _OTHER[comparison.asked]
        return made(
            comparison.op,
            comparison.call,
            comparison.command(),
            found,
            [decode(record) for record in legacy.values()],
            [decode(record) for record in new.values()],
            _OTHER[follower],
            revealed=self._entity.settings.reveal_samples,
        )
