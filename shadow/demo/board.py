"""One look at everything, twice a second: what the screen shows now and the report plots at the end."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shadow.demo.application import COLLECTIONS
from shadow.demo.measure import Recorder, Side, percentile
from shadow.demo.tally import Tally
from shadow.demo.walk import Walk
from shadow.protocol.backfill import Progress

_WINDOW = 3.0  # seconds of calls behind a shown latency
_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """One entity."""

    name: str
    phase: str
    step: str | None
    rate: float
    marks: int
    confirmed: int
    excused: int
    legacy_ms: float | None
    new_ms: float | None
    waits_for: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look. Latencies in milliseconds, None where nobody called."""

    at: float
    leg: str
    lines: tuple[Line, ...]
    rate: float
    shadow_p50: float | None
    bare_p50: float | None
    by_store: Mapping[str, float]


@dataclass(slots=True)
class Board:
    """Looks, and what was noted between them."""

    recorder: Recorder
    tally: Tally
    walk: Walk
    backfills: Callable[[], Mapping[str, Progress]]
    totals: Mapping[str, int]
    looks: list[Look] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    backfill_began: float | None = None
    _answered: Counter[str] = field(default_factory=Counter)
    _recent: deque[tuple[float, Side, float]] = field(default_factory=deque)
    _seen: int = 0

    def note(self, text: str) -> None:
        """Something happened."""
        self.notes.append((self.recorder.clock(), text))

    def look(self) -> Look:
        """Look now. Cheap: it runs in the application's own loop."""
        now = self.recorder.clock()
        rates, stores = self._rates(now)
        look = Look(
            at=now,
            leg=self.walk.ahead.label,
            lines=tuple(self._line(name, rates.get(name, 0.0)) for name in COLLECTIONS),
            rate=sum(rates.values()),
            shadow_p50=self._p50("shadow", now),
            bare_p50=self._p50("bare", now),
            by_store=stores,
        )
        self.looks.append(look)
        return look

    def backfill(self) -> tuple[int, int, float | None] | None:
        """Records copied, records to copy, and the seconds that are left; None before it begins."""
        done = sum(progress.records for progress in self.backfills().values())
        if not done:
            return None
        self.backfill_began = self.backfill_began or time.monotonic() - _EVERY
        total = max(done, sum(self.totals.values()))
        return done, total, (total - done) * (time.monotonic() - self.backfill_began) / done

    def _line(self, name: str, rate: float) -> Line:
        view = self.walk.view(name)
        states = [(state, count) for (entity, _, state), count in self.tally.mismatches.items() if entity == name]
        return Line(
            name=name,
            phase=view.phase,
            step=view.step,
            rate=rate,
            marks=self.tally.marks.get(name, 0),
            confirmed=sum(count for state, count in states if state == "confirmed"),
            excused=sum(count for state, count in states if state != "confirmed"),
            legacy_ms=self.tally.typical_ms(name, "legacy"),
            new_ms=self.tally.typical_ms(name, "new"),
            waits_for=self.walk.waits_for(name),
        )

    def _rates(self, now: float) -> tuple[dict[str, float], dict[str, float]]:
        """Calls a second of each entity, and of each store, since the look before."""
        counted = Counter(call.entity for call in self.recorder.calls[self._seen :] if call.side == "shadow")
        answered = Counter(self.tally.answered)
        passed = max(now - (self.looks[-1].at if self.looks else 0.0), 1e-3)
        fresh, self._answered = answered - self._answered, answered
        of_new = fresh["new"] / (fresh.total() or 1)  # calls in phase legacy and cursors tell no sink of theirs
        total = counted.total() / passed
        by_store = {"legacy": total * (1 - of_new), "new": total * of_new}
        return {name: count / passed for name, count in counted.items()}, by_store

    def _p50(self, side: Side, now: float) -> float | None:
        calls = self.recorder.calls
        while self._seen < len(calls):
            call = calls[self._seen]
            self._recent.append((call.at, call.side, call.seconds))
            self._seen += 1
        while self._recent and self._recent[0][0] < now - _WINDOW:
            self._recent.popleft()
        took = sorted(seconds for _, of, seconds in self._recent if of == side)
        return percentile(took, 0.5) * 1000 if took else None
