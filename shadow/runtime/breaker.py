"""The breaker's eyes: what the fleet saw lately of one entity, and for how long new has been slow."""

from __future__ import annotations

import time
from collections.abc import Callable

from shadow.compare.confidence import lower_bound
from shadow.config import GatesSettings
from shadow.runtime.evidence import Facts, budgets, p99_ratio
from shadow_flags.breaker import Signs, tripped
from shadow_flags.phases import Phase

SLOW_SECONDS = 30.0
"""How long new's p99 has to be over its budget: a p99 of a thousand reads is one bad moment."""

_ALPHA = 0.001


class Breaker:
    """Says why entities are to be taken back; the conductor acts on it. ``clock`` gives seconds."""

    def __init__(self, given: GatesSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._given = given
        self._clock = clock
        self._slow_since: dict[str, float] = {}

    def look(self, entity: str, phase: Phase, facts: Facts) -> list[str]:
        """Why the breaker of an entity trips in its phase now; empty where it does not."""
        limits = budgets(self._given)
        ratio = p99_ratio(facts)
        if ratio is None or ratio <= limits.p99_ratio:
            self._slow_since.pop(entity, None)
            lasting = False
        else:
            lasting = self._clock() - self._slow_since.setdefault(entity, self._clock()) >= SLOW_SECONDS
        signs = Signs(
            mismatch_rate=_at_least(facts, "recent:mismatches", "recent:compared"),
            error_rate=_at_least(facts, "recent:failed", "recent:asked"),
            p99_ratio=ratio if lasting else None,
            waived=frozenset(self._given.waived),
        )
        return tripped(phase, signs, limits)


def _at_least(facts: Facts, hits: str, seen: str) -> float:
    bad, of = (int(facts.get(name, (0.0, 0.0))[0]) for name in (hits, seen))
    return lower_bound(bad, of, _ALPHA)
