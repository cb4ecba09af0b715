"""Steps: how the fleet is taken from one phase to the next, as pure decisions. The conductor does the I/O.

    announce   every process takes on the duties of both ends, and acknowledges once no call under the old duties alone
               is in flight
    drain      marks older than the last acknowledgement are synced (only where reads are about to be answered by new)
    settle     the phase is the new one, the step is over

    fence      where the authority moves: every process holds new calls, lets those in flight finish, acknowledges; the
               remaining marks are synced; the phase, the term and the epoch move in one transaction. Over the limit the
               fence is lifted, and nothing has moved.

A process whose lease lapsed, and that nobody has accounted for, may still be writing: no step is taken that depends on
its acknowledgement. A lease that was not renewed since the server restarted may have lost its newest marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shadow_flags.phases import Phase, moves_authority, next_towards


class Stage(StrEnum):
    """How far a step is."""

    ANNOUNCE = "announce"
    DRAIN = "drain"
    FENCE = "fence"


@dataclass(frozen=True, slots=True)
class Member:
    """What a decision needs to know of one process."""

    name: str
    live: bool  # its lease has not lapsed
    current: bool  # renewed since the server's restart
    acknowledged: int  # the epoch that it has acknowledged for the entity
    protocol: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Standing:
    """An entity as the conductor finds it."""

    phase: Phase
    epoch: int
    step: Phase | None
    stage: Stage | None
    stage_age: float  # seconds
    oldest_mark_age: float | None  # seconds; None when no mark is open
    marks: int
    debts: int
    aim: Phase
    members: Sequence[Member]
    blocked: Sequence[str] = ()  # by gates, for the next step forward


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the step to ``to``."""

    to: Phase


@dataclass(frozen=True, slots=True)
class Enter:
    """Go on to the next stage of the step."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Settle:
    """The step is over; ``phase`` is the settled phase. ``moved`` is False where it was taken back or lifted."""

    phase: Phase
    why: str
    moved: bool
    authority: bool = False  # the authority moves with it


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now, and why."""

    why: Sequence[str]


Decision = Start | Enter | Settle | Wait


def decide(at: Standing, fence_limit: float) -> Decision:
    """The one thing to do next for an entity.

    Args:
        fence_limit: seconds after which a fence is lifted.
    """
    if at.step is None:
        return _begin(at)
    if at.stage is Stage.FENCE:
        return _fence(at, at.step, fence_limit)
    if _turned_back(at, at.step):
        return _take_back(at)
    missing = unaccounted(at.members, at.epoch)
    if missing:
        return Wait(missing)
    if at.stage is Stage.ANNOUNCE:
        if moves_authority(at.phase, at.step):
            return _before_fence(at, fence_limit)
        if at.step is Phase.READ_NEW and at.phase is Phase.SHADOW_READ:
            return Enter(Stage.DRAIN)
    return _drain(at, at.step)


def unaccounted(members: Sequence[Member], epoch: int) -> list[str]:
    """Why the processes have not all acknowledged the epoch, one line each."""
    lines = []
    for member in members:
        if not member.live:
            lines.append(f"{member.name} lost its lease and is unaccounted for (`shadow forget` if it is dead)")
        elif not member.current:
            lines.append(f"{member.name} has not renewed its lease since PostgreSQL restarted")
        elif member.acknowledged != epoch:
            lines.append(f"{member.name} has not acknowledged epoch {epoch} yet")
    return lines


def _begin(at: Standing) -> Decision:
    to = next_towards(at.phase, at.aim)
    if to is None:
        return Wait([])
    forward = to.rank > at.phase.rank
    if forward and at.blocked:
        return Wait(list(at.blocked))
    disagreement = _protocols(at.members)
    if disagreement:
        return Wait([disagreement])
    if moves_authority(at.phase, to) or forward:
        lapsed = unaccounted(at.members, at.epoch)
        if lapsed:
            return Wait(lapsed)
        if at.debts and at.phase is not Phase.LEGACY:
            return Wait(["a debt is open"])
    return Start(to)


def _turned_back(at: Standing, step: Phase) -> bool:
    """Whether the operator no longer wants to go this way."""
    ahead = next_towards(at.phase, at.aim)
    return ahead is not step


def _take_back(at: Standing) -> Decision:
    """Nothing has moved yet, and the duties of both ends include those of this one."""
    return Settle(at.phase, "the aim changed", moved=False)


def _drain(at: Standing, step: Phase) -> Decision:
    if at.stage is Stage.DRAIN:
        if at.debts:
            return Wait(["a debt is open"])
        if at.oldest_mark_age is not None and at.oldest_mark_age >= at.stage_age:
            return Wait([f"marks from before the announcement are open (oldest {at.oldest_mark_age:.1f} s)"])
    return Settle(step, "every process has acknowledged", moved=True)


def _before_fence(at: Standing, limit: float) -> Decision:
    """A fence holds calls until every mark is synced: it is not raised while that would take longer than it may."""
    if at.debts:
        return Wait(["a debt is open"])
    if at.oldest_mark_age is not None and at.oldest_mark_age > limit / 2:
        return Wait(
            [f"the syncs lag behind: a mark has been open for {at.oldest_mark_age:.1f} s, a fence may take {limit:g} s"]
        )
    return Enter(Stage.FENCE)


def _fence(at: Standing, step: Phase, limit: float) -> Decision:
    if at.stage_age > limit:
        return Settle(at.phase, f"the fence took longer than {limit:g} s: {_why_fenced(at)}", moved=False)
    missing = unaccounted(at.members, at.epoch)
    if missing:
        return Wait(missing)
    if at.marks or at.debts:
        return Wait([f"{at.marks} mark(s) and {at.debts} debt(s) are open behind the fence"])
    return Settle(step, "the authority moves", moved=True, authority=True)


def _why_fenced(at: Standing) -> str:
    return "; ".join(unaccounted(at.members, at.epoch)) or f"{at.marks} mark(s) were open"


def _protocols(members: Sequence[Member]) -> str | None:
    """The reason for which no step is taken while the processes' protocol ranges do not overlap."""
    if not members:
        return None
    low = max(member.protocol[0] for member in members)
    high = min(member.protocol[1] for member in members)
    return None if low <= high else f"the processes share no protocol version (need {low}, have {high})"
