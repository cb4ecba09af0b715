"""Samples of one entity's mismatches, on their way to PostgreSQL: redacted here, bounded here, stored in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from shadow.compare.case import Case
from shadow.compare.difference import Difference
from shadow.compare.judge import Verdict
from shadow.compare.kinds import State
from shadow.metrics.sink import Sink
from shadow.metrics.table import SAMPLES_DROPPED
from shadow_adapters.contract import Key
from shadow_adapters.postgres.samples import NewSample

_LONGEST = 4000  # characters of an explanation

Store = Callable[[Sequence[NewSample]], Awaitable[None]]


class Sampler:
    """Holds a few samples until the next `flush`. More than ``room`` are dropped, and counted, confirmed ones last.

    Args:
        entity: the entity's name.
        store: stores a batch of this entity's samples. When it raises, the batch is dropped, and counted.
        sink: told of what is dropped.
        room: how many are held between two flushes.
    """

    def __init__(self, entity: str, store: Store, sink: Sink, *, room: int = 10) -> None:
        self._entity = entity
        self._store = store
        self._sink = sink
        self._room = room
        self._held: list[tuple[str, Difference, State, Key | None, Case | None]] = []

    def wants(self, state: State | None) -> bool:
        """Whether a mismatch of this state would be held now."""
        return len(self._held) < self._room or (state is State.CONFIRMED and self._yielding() is not None)

    def take(self, op: str, verdict: Verdict) -> bool:
        """Hold a sample of the verdict, if it is a mismatch. Returns whether it is held."""
        if verdict.difference is None or verdict.state is None:
            return False
        if len(self._held) >= self._room:
            self._drop(1)
            if not (verdict.state is State.CONFIRMED and self._give_way()):
                return False
        self._held.append((op, verdict.difference, verdict.state, verdict.key, verdict.case))
        return True

    def _give_way(self) -> bool:
        """Take out one sample that is not confirmed, if there is one."""
        yielding = self._yielding()
        if yielding is None:
            return False
        del self._held[yielding]
        return True

    def _yielding(self) -> int | None:
        """The place of a sample that is not confirmed, if there is one."""
        return next((i for i, (_, _, state, *_) in enumerate(self._held) if state is not State.CONFIRMED), None)

    async def flush(self) -> None:
        """Store what is held. Raises what ``store`` raises."""
        held, self._held = self._held, []
        if not held:
            return
        try:
            await self._store([await _sample(*each) for each in held])
        except BaseException:
            self._drop(len(held))
            raise

    def _drop(self, count: int) -> None:
        self._sink.add(SAMPLES_DROPPED, (self._entity,), count)


async def _sample(op: str, found: Difference, state: State, key: Key | None, case: Case | None) -> NewSample:
    await asyncio.sleep(0)  # an explanation may take milliseconds: others get their turn in between
    replay = None if case is None else case.dump()
    return NewSample(op, found.kind, state, found.path, key, found.explanation[:_LONGEST], replay)
