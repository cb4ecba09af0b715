"""A process's memory of its marks.

A mark is remembered from before its statement is sent until its closing is durable, because control commits marks
asynchronously: a restart of the server may lose the newest, and then this memory is what is uploaded. A mark carries
every write of its key that began while no sync had captured it. Once captured it never covers another write, even if
that sync fails.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from shadow_adapters.contract import Key, NewMark, Record


class Unset(Enum):
    """The record after the write is not known to the writer."""

    UNSET = 0


UNSET = Unset.UNSET


@dataclass(slots=True, eq=False)
class Held:
    """One mark in memory.

    Attributes:
        users: writes under it that have neither settled nor failed yet.
        writes: writes that it ever carried.
        until: loop time before which it must not be closed (an unknown outcome).
        opened_at: its time on PostgreSQL's clock, as well as this process knows it.
        tried_at: loop time at which a sync last captured it.
        captured: a sync has begun that may close it.
        recorded: control or the journal has it.
        misdated: control may date it after its write: a statement that was given up may still be carried out.
        waited: it is dated so far back that no read trusts new past it, so that its writes need not await their sync.
        record: the record that its only write fixed, if it did.
    """

    seq: int
    entity: str
    key: Key | None
    opened_at: float | None
    users: int = 1
    writes: int = 1
    until: float = 0.0
    tried_at: float = 0.0
    captured: bool = False
    recorded: bool = False
    journalled: bool = False
    misdated: bool = False
    waited: bool = False
    is_put: bool = False
    record: Record | Unset | None = UNSET
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def as_new(self) -> NewMark:
        """The mark as it is uploaded, with its original time."""
        return NewMark(self.seq, self.entity, self.key, self.opened_at)


class MarkBook:
    """All marks of one process. Used from every event loop and from the control thread."""

    def __init__(self, clock: Callable[[], float | None]) -> None:
        """``clock`` gives PostgreSQL's time as this process knows it, None while it was never told."""
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = itertools.count(1)
        self._open: dict[int, Held] = {}
        self._covering: dict[tuple[str, Key], Held] = {}
        self._by_key: dict[tuple[str, Key], list[Held]] = {}
        self._closing: dict[int, Held] = {}

    def __len__(self) -> int:
        return len(self._open)

    def cover(self, entity: str, key: Key | None, *, visible: bool = False) -> Held:
        """A mark that covers one more write of the key; a new one is not recorded yet.

        ``visible``: others must see it, so one that only the journal has does not do.
        """
        with self._lock:
            held = self._covering.get((entity, key)) if key is not None else None
            if held is not None and not (visible and held.journalled):
                held.users += 1
                held.writes += 1
                held.record = UNSET
                return held
            held = Held(next(self._seq), entity, key, self._clock())
            self._open[held.seq] = held
            if key is not None:
                self._covering[entity, key] = held
                self._by_key.setdefault((entity, key), []).append(held)
            return held

    def put_mark(self, entity: str, key: Key) -> Held:
        """A mark of a sync's own put outside PostgreSQL; it never covers a write."""
        with self._lock:
            held = Held(next(self._seq), entity, key, self._clock(), captured=True, is_put=True)
            self._open[held.seq] = held
            self._by_key.setdefault((entity, key), []).append(held)
            return held

    def date_back(self, marks: Iterable[Held], seconds: float) -> None:
        """Let marks look so much older: their writes will not wait for them to come of age."""
        with self._lock:
            for held in marks:
                if held.opened_at is not None:
                    held.opened_at -= seconds
                held.waited = True

    def uploaded(self, marks: Iterable[Held]) -> None:
        """Control has these marks now, wherever they were before."""
        with self._lock:
            for held in marks:
                held.journalled = False

    def settle(self, held: Held, record: Record | Unset | None = UNSET) -> None:
        """A write under the mark ended, and its outcome is known."""
        with self._lock:
            held.users -= 1
            held.record = record if held.writes == 1 and not held.misdated else UNSET

    def unsettle(self, held: Held, until: float) -> None:
        """A write under the mark ended, and it may still be applied before ``until`` (loop time)."""
        with self._lock:
            held.users -= 1
            held.until = max(held.until, until)
            held.record = UNSET

    def abandon(self, held: Held) -> None:
        """A writer gave up while its mark was being recorded, so nobody knows whether control has it.

        Unless others use it, it is left to a sync, and covers nobody: a later writer must not take it for recorded.
        """
        with self._lock:
            held.users -= 1
            held.record = UNSET
            if held.users == 0 and not held.recorded:
                held.recorded = True
                self._retire(held)

    def alone(self, held: Held) -> bool:
        """Whether no sync has captured the mark, and it is this process's only one of its key."""
        with self._lock:
            return not held.captured and held.key is not None and len(self._by_key[held.entity, held.key]) == 1

    def rename(self, held: Held, key: Key) -> None:
        """A keyless mark gets its key."""
        with self._lock:
            held.key = key
            self._by_key.setdefault((held.entity, key), []).append(held)

    def capture(self, entity: str, keys: Iterable[Key], now: float) -> dict[Key, list[Held]]:
        """The settled marks of the keys, which from now on cover no further write."""
        with self._lock:
            found: dict[Key, list[Held]] = {}
            for key in keys:
                found[key] = []
                for held in self._by_key.get((entity, key), ()):
                    if held.users == 0 and held.recorded and now >= held.until:
                        self._retire(held)
                        held.tried_at = now
                        found[key].append(held)
            return found

    def owing(self, entity: str, keys: Iterable[Key]) -> list[Key]:
        """Those of the keys that have an open mark whose writes have all ended."""
        with self._lock:
            return [key for key in keys if any(held.users == 0 for held in self._by_key.get((entity, key), ()))]

    def retire(self, held: Held) -> None:
        """The mark covers no further write."""
        with self._lock:
            self._retire(held)

    def closed(self, marks: Iterable[Held]) -> None:
        """Closed on control, perhaps not flushed yet: remembered until `forget`."""
        with self._lock:
            for held in marks:
                if self._open.pop(held.seq, None) is None:
                    continue
                self._retire(held)
                if held.key is not None:
                    siblings = self._by_key[held.entity, held.key]
                    siblings.remove(held)
                    if not siblings:
                        del self._by_key[held.entity, held.key]
                self._closing[held.seq] = held
                _wake(held)

    def closing(self) -> list[Held]:
        """The closed marks that are still remembered."""
        with self._lock:
            return list(self._closing.values())

    def forget(self, durable: Sequence[Held]) -> None:
        """The closing of these marks is durable."""
        with self._lock:
            for held in durable:
                self._closing.pop(held.seq, None)

    def remembered(self) -> list[Held]:
        """Everything that must be uploaded when the server may have lost it."""
        with self._lock:
            return [*self._open.values(), *self._closing.values()]

    def due(self, now: float, pause: float) -> list[tuple[str, Key]]:
        """Keys with a mark that a sync could close now, and that none has tried for ``pause`` seconds."""
        with self._lock:
            return list(
                {
                    (held.entity, held.key)
                    for held in self._open.values()
                    if held.key is not None and held.users == 0 and held.recorded
                    if now >= held.until and now >= held.tried_at + pause
                }
            )

    def settled(self) -> list[Held]:
        """Open marks that no write uses."""
        with self._lock:
            return [held for held in self._open.values() if held.users == 0]

    def keyless(self, now: float) -> list[Held]:
        """Keyless marks whose writes have ended without ever naming a key."""
        with self._lock:
            return [h for h in self._open.values() if h.key is None and h.users == 0 and h.recorded and now >= h.until]

    def knows(self, seq: int) -> bool:
        """Whether the mark is in memory, open or closing."""
        return seq in self._open or seq in self._closing

    def is_open(self, entity: str, key: Key | None) -> bool:
        """Whether this process has a mark of the key open, or one that names no key (None: any of the entity).

        Those that only its journal has are among them.
        """
        with self._lock:
            return any(
                held.entity == entity and (key is None or held.key is None or held.key == key)
                for held in self._open.values()
            )

    def open_keys(self, entity: str) -> set[Key]:
        """Keys of the entity with an open mark of this process."""
        with self._lock:
            return {held.key for held in self._open.values() if held.entity == entity and held.key is not None}

    def _retire(self, held: Held) -> None:
        held.captured = True
        if held.key is not None and self._covering.get((held.entity, held.key)) is held:
            del self._covering[held.entity, held.key]


def _wake(held: Held) -> None:
    for waiter in held.waiters:
        loop = waiter.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_finish, waiter)
    held.waiters.clear()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
