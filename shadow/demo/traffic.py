"""The load: many callers who read and write at once, through Shadow and, a share of them, through the bare driver.

Both sides run the same application on collections of their own, and every caller tosses a coin before each call, so
that they are measured in the same moments under the same load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from shadow.demo import shapes
from shadow.demo.application import Application
from shadow.demo.ledger import Ledger, Writing, apply
from shadow.demo.measure import Recorder, Side

T = TypeVar("T")
Document = dict[str, Any]

CALLERS = 12
PAUSE = 0.035  # seconds, on average, that a caller thinks
SHADOW_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Seat:
    """One side of the comparison: the application, what it was acknowledged, and who measures.

    ``featured`` are agents that the application shows on its first page: read often, never written. ``fresh`` are
    documents of the knowledge collection that are yet to be added.
    """

    side: Side
    application: Application
    ledger: Ledger
    recorder: Recorder
    rng: Random
    featured: Sequence[Any]
    fresh: list[Document]

    def time(self, entity: str, op: str, call: Awaitable[T]) -> Awaitable[T]:
        """Await a call, measured."""
        return self.recorder.time(self.side, entity, op, call)


class Traffic:
    """Callers, until they are told to stop."""

    def __init__(self, shadow: Seat, bare: Seat, rng: Random) -> None:
        self._shadow = shadow
        self._bare = bare
        self._rng = rng
        self._stopping = False
        self._callers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let the callers in."""
        self._callers = [asyncio.create_task(self._call_on()) for _ in range(CALLERS)]

    async def stop(self) -> None:
        """Let the calls in flight finish, and no more begin."""
        self._stopping = True
        await asyncio.gather(*self._callers)

    async def abandon(self) -> None:
        """End at once, whatever is in flight."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    async def _call_on(self) -> None:
        while not self._stopping:
            seat = self._shadow if self._rng.random() < SHADOW_SHARE else self._bare
            action = self._rng.choices(_DO, _WEIGHTS)[0]
            try:
                await action(seat)
            except Exception as error:  # whatever an application could see counts against Shadow
                seat.recorder.error(f"{seat.side} {action.__name__}: {type(error).__name__}: {str(error)[:200]}")
            await asyncio.sleep(self._rng.expovariate(1 / PAUSE))


# -- reads


async def _get(seat: Seat, collection: str, id: Any) -> None:
    version = seat.ledger.rest(collection, id)
    found = await seat.time(collection, "find_one", seat.application.get(collection, id))
    if seat.ledger.stale(collection, id, version, found):
        seat.recorder.error(f"{seat.side} find_one on {collection}: missed an acknowledged write")


async def look_up(seat: Seat) -> None:
    """Some record of some collection, by its ``_id``."""
    collection = seat.rng.choice(_READ)
    await _get(seat, collection, seat.ledger.any(collection, seat.rng))


async def first_page(seat: Seat) -> None:
    """One of the featured agents."""
    await _get(seat, "agents", seat.rng.choice(seat.featured))


async def browse(seat: Seat) -> None:
    """One of the application's queries."""
    collection = seat.rng.choice(tuple(_QUERIES))
    await seat.time(collection, "find", _QUERIES[collection](seat))


async def count(seat: Seat) -> None:
    """How many workflows have a status."""
    await seat.time("workflows", "count_documents", seat.application.workflow_count(seat.rng.choice(shapes.STATUSES)))


# -- writes


async def add(seat: Seat) -> None:
    """A new record."""
    rng = seat.rng
    collection = rng.choice(_GROWING)
    document = _MAKE[collection](seat)
    if document is None:
        return
    with Writing(seat.ledger.put(collection, document)) as writing:
        await seat.time(collection, "insert_one", seat.application.add(collection, document))
        writing.done()


async def change(seat: Seat) -> None:
    """``$set``, ``$inc`` and ``$push`` on a record."""
    collection = seat.rng.choice(_CHANGING)
    chosen = seat.ledger.idle(collection, seat.rng)
    if chosen is None or chosen[0] in seat.featured:
        return
    id, entry = chosen
    update = _UPDATES[collection](seat.rng)
    with Writing(entry) as writing:
        matched = await seat.time(collection, "update_one", seat.application.change(collection, id, update))
        if matched != 1:
            raise AssertionError("an update missed a record that had been acknowledged")
        assert entry.document is not None
        apply(entry.document, update)
        writing.done()


async def remove(seat: Seat) -> None:
    """Delete a record that nothing refers to."""
    collection = seat.rng.choice(("sessions", "memory_snapshots"))
    chosen = seat.ledger.idle(collection, seat.rng)
    if chosen is None:
        return
    id, entry = chosen
    with Writing(entry) as writing:
        if await seat.time(collection, "delete_one", seat.application.remove(collection, id)) != 1:
            raise AssertionError("a delete missed a record that had been acknowledged")
        entry.document = None
        writing.done()


async def claim(seat: Seat) -> None:
    """Take a workflow that waits: the store chooses which."""
    taken = await seat.time("workflows", "find_one_and_update", seat.application.claim())
    if taken is None:
        return
    entry = seat.ledger.entry("workflows", taken["_id"])
    assert entry.document is not None
    apply(entry.document, {"$set": {"status": "running"}, "$inc": {"runs": 1}})
    entry.version += 1
    if entry.document != taken:
        raise AssertionError("a claim returned a record that is not as it had been acknowledged")


async def hand_over(seat: Seat) -> None:
    """A transaction over two workflows."""
    ended, begun = (seat.ledger.idle("workflows", seat.rng) for _ in range(2))
    if ended is None or begun is None or ended[0] == begun[0]:
        return
    with Writing(ended[1], begun[1]) as writing:
        await seat.time("workflows", "transaction", seat.application.hand_over(ended[0], begun[0]))
        for entry, update in (
            (ended[1], {"$set": {"status": "done"}}),
            (begun[1], {"$set": {"status": "running"}, "$inc": {"runs": 1}}),
        ):
            assert entry.document is not None
            apply(entry.document, update)
        writing.done()


def _snapshot(seat: Seat) -> Document:
    return shapes.memory_snapshot(seat.rng, seat.rng.choice(seat.featured))


_QUERIES: dict[str, Callable[[Seat], Awaitable[list[Document]]]] = {
    "workflows": lambda seat: seat.application.workflows_in(seat.rng.choice(shapes.STATUSES)),
    "audit_logs": lambda seat: seat.application.events(
        seat.rng.choice(shapes.EVENTS), f"user-{seat.rng.randrange(40)}"
    ),
    "memory_snapshots": lambda seat: seat.application.memories(seat.ledger.any("agents", seat.rng)),
    "sessions": lambda seat: seat.application.expiring(),
    "knowledge": lambda seat: seat.application.contents(seat.ledger.any("knowledge", seat.rng).partition(".")[0]),
}
_READ = ("agents", "workflows", "audit_logs", "memory_snapshots", "sessions", "knowledge", "knowledge")
_GROWING = ("workflows", "audit_logs", "audit_logs", "memory_snapshots", "sessions", "knowledge", "agents")
_CHANGING = ("agents", "workflows", "audit_logs", "memory_snapshots", "sessions", "sessions", "knowledge", "knowledge")
_MAKE: dict[str, Callable[[Seat], Document | None]] = {
    "agents": lambda seat: shapes.agent(seat.rng),
    "workflows": lambda seat: shapes.workflow(seat.rng, "queued"),
    "audit_logs": lambda seat: shapes.audit_log(seat.rng),
    "memory_snapshots": _snapshot,
    "sessions": lambda seat: shapes.session(seat.rng),
    "knowledge": lambda seat: seat.fresh.pop() if seat.fresh else None,
}
_UPDATES: dict[str, Callable[[Random], Document]] = {
    "agents": lambda rng: {
        "$set": {"updated_at": shapes.now(), "autonomy_level": rng.randrange(1, 6)},
        "$inc": {"stats.calls": 1},
    },
    "workflows": lambda rng: {
        "$set": {"updated_at": shapes.now(), "status": rng.choice(shapes.STATUSES)},
        "$inc": {"runs": 1},
    },
    "audit_logs": lambda rng: {"$set": {"details.ok": rng.random() < 0.5}},
    "memory_snapshots": lambda rng: {"$push": {"snapshot_data.facts": rng.randrange(1000)}},
    "sessions": lambda rng: {"$inc": {"data.hits": 1}, "$push": {"data.trail": f"/page/{rng.randrange(20)}"}},
    "knowledge": lambda rng: {"$inc": {"views": 1}, "$push": {"notes": f"note {rng.randrange(100)}"}},
}
_ACTIONS = (
    (look_up, 38),
    (first_page, 8),
    (browse, 10),
    (count, 2),
    (add, 14),
    (change, 20),
    (remove, 3),
    (claim, 3),
    (hand_over, 2),
)
_DO = [action for action, _ in _ACTIONS]
_WEIGHTS = [weight for _, weight in _ACTIONS]
