"""Shadow's own measurements as the demo shows them: counts per entity, and how long each store takes."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from shadow.metrics.record import OperationRecord
from shadow.metrics.table import COMPARED_SECONDS, MISMATCHES, OPEN_MARKS, Metric

_RECENT = 100


class Tally:
    """A `shadow.metrics.sink.Sink` that keeps what the screen and the verdict need."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()  # by store
        self.mismatches: Counter[tuple[str, str, str]] = Counter()  # entity, kind, state
        self.marks: dict[str, int] = {}
        self._took: dict[tuple[str, str], deque[float]] = defaultdict(lambda: deque(maxlen=_RECENT))

    def operation(self, record: OperationRecord) -> None:
        self.answered[record.store] += 1
        if record.outcome == "ok":
            self._took[record.entity, record.store].append(record.seconds)

    def add(self, metric: Metric, labels: tuple[str, ...] = (), amount: float = 1.0) -> None:
        if metric is MISMATCHES:
            entity, kind, state = labels
            self.mismatches[entity, kind, state] += int(amount)

    def set(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        if metric is OPEN_MARKS:
            self.marks[labels[0]] = int(value)

    def observe(self, metric: Metric, labels: tuple[str, ...] = (), value: float = 0.0) -> None:
        if metric is COMPARED_SECONDS:
            self._took[labels[0], labels[2]].append(value)

    def typical_ms(self, entity: str, store: str) -> float | None:
        """The median of the store's last hundred answers, in milliseconds; None where there was none."""
        took = sorted(self._took[entity, store])
        return took[len(took) // 2] * 1000 if took else None

    def confirmed(self) -> int:
        """How many mismatches were confirmed."""
        return sum(count for (_, _, state), count in self.mismatches.items() if state == "confirmed")

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Mismatches of all entities: kind -> state -> how many."""
        found: dict[str, dict[str, int]] = {}
        for (_, kind, state), count in sorted(self.mismatches.items()):
            states = found.setdefault(kind, {})
            states[state] = states.get(state, 0) + count
        return found
