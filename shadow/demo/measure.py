"""What callers saw: every call's time, by phase and by side, their errors, and the pauses of fences."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from shadow.protocol.view import View

T = TypeVar("T")
Side = Literal["shadow", "bare"]

MOVING = "moving"
"""The label of calls that were made while a step or a verify was under way."""


class Call(NamedTuple):
    """One call: when it ended (seconds since the start), the phase, and what the caller waited in seconds."""

    at: float
    phase: str
    side: Side
    entity: str
    op: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """One phase's latency through Shadow over the bare driver's under the same load."""

    phase: str
    ops: int
    p50: float
    p99: float
    shadow_p50: float
    bare_p50: float


class Recorder:
    """Takes the calls of both sides.

    Args:
        view: the entity as the fleet sees it.
        label: the name of the phase that the operator's walk is in, for an entity in this phase; None where it is not.
    """

    def __init__(self, view: Callable[[str], View], label: Callable[[View], str | None]) -> None:
        self._view = view
        self._label = label
        self.began = time.perf_counter()
        self.calls: list[Call] = []
        self.errors: dict[str, int] = {}
        self.fenced: list[tuple[float, float]] = []

    def clock(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began

    async def time(self, side: Side, entity: str, op: str, call: Awaitable[T]) -> T:
        """Await a call and record it. Raises what the call raises."""
        before = self._view(entity)
        phase = self._label(before) or MOVING
        start = time.perf_counter()
        result = await call
        seconds = time.perf_counter() - start
        self.calls.append(Call(self.clock(), phase, side, entity, op, seconds))
        moved = before.known and before.term != self._view(entity).term
        if side == "shadow" and (before.holding or moved):
            self.fenced.append((self.clock(), seconds))
        return result

    def error(self, what: str) -> None:
        """A caller's call failed, or missed a write that had been acknowledged."""
        self.errors[what] = self.errors.get(what, 0) + 1

    @property
    def fence_ms(self) -> float:
        """The longest pause of a fence as a caller saw it, in milliseconds."""
        return max((seconds for _, seconds in self.fenced), default=0.0) * 1000

    def ratios(self, phases: Iterable[str]) -> list[Ratio]:
        """For each phase in which both sides made calls."""
        return [ratio for phase in phases if (ratio := self._ratio(phase)) is not None]

    def _ratio(self, phase: str) -> Ratio | None:
        calls = [call for call in self.calls if call.phase == phase]
        ours = sorted(call.seconds for call in calls if call.side == "shadow")
        theirs = sorted(call.seconds for call in calls if call.side == "bare")
        if not ours or not theirs:
            return None
        p50, bare = percentile(ours, 0.5), percentile(theirs, 0.5)
        return Ratio(phase, len(ours), p50 / bare, percentile(ours, 0.99) / percentile(theirs, 0.99), p50, bare)


def percentile(ordered: list[float], share: float) -> float:
    """The value below which this share of a sorted, not empty list lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
