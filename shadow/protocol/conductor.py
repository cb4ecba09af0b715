"""The conductor: takes the fleet from phase to phase, one decision at a time.

Any process can conduct; one at a time does, by an advisory lock. What to do is decided in `shadow_flags.steps`; here
the facts are gathered and the decision is made durable. A transition is written only if the entity is still as it was
read, so that two conductors who overlap for a moment cannot both act.

A process that lapsed is accounted for by time only where it refuses calls while it cannot renew: the settling time
after the lapse the last write that it has sent is over, and it reads no more. For an entity that says so no step waits
for it any more; where all entities say so, it is gone, and others close its marks. (One that was stopped between its
last look at its lease and the sending, for longer than the settling time, is the exception that whoever says so
accepts.)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from shadow.protocol.membership import Membership
from shadow.protocol.settings import Terms
from shadow_adapters.contract import Burden, Control, EntityState, Fleet, Lease, Legacy, ProcessInfo, Transition
from shadow_adapters.failures import StoreError
from shadow_flags.breaker import HELD, WATCHED, held_back
from shadow_flags.phases import PHASES, Phase, Store, next_towards
from shadow_flags.steps import Decision, Enter, Member, Settle, Stage, Standing, Start, Wait, decide

_FENCE_PAUSE = 2.0


class ConductorObserver(Protocol):
    """Who is told of steps: metrics, logs, `shadow status`."""

    def waiting(self, entity: str, why: tuple[str, ...]) -> None: ...

    def moved(self, change: Transition) -> None: ...

    def fenced(self, entity: str, seconds: float, moved: bool) -> None: ...


class Conductor:
    """One process's chance to conduct.

    Args:
        aim: where the operator wants an entity, from its settled phase; None while no flag was ever read.
        blocked: why a step forward to a phase is blocked by gates.
        tripped: why an entity is to be taken back to where legacy answers.
        refuses: whether a process that cannot renew refuses calls of an entity (None: of all).
        legacy: an entity's legacy store, to arm it.
    """

    def __init__(
        self,
        me: ProcessInfo,
        control: Control,
        membership: Membership,
        terms: Terms,
        aim: Callable[[str, Phase], Phase | None],
        blocked: Callable[[EntityState, Phase, Burden, Fleet], Awaitable[list[str]]],
        tripped: Callable[[EntityState], Awaitable[list[str]]],
        refuses: Callable[[str | None], bool],
        legacy: Callable[[str], Legacy],
        observer: ConductorObserver,
    ) -> None:
        self._me = me
        self._control = control
        self._membership = membership
        self._terms = terms
        self._aim = aim
        self._blocked = blocked
        self._tripped = tripped
        self._refuses = refuses
        self._legacy = legacy
        self._observer = observer
        self._not_before: dict[str, float] = {}
        self.conducting = False

    async def run(self) -> None:
        """Conduct for ever, whenever it is this process's turn."""
        while True:
            brisk = False
            try:
                brisk = await self.turn()
            except (StoreError, TimeoutError):
                self.conducting = False
            await asyncio.sleep(self._terms.brisk if brisk else self._terms.renew)

    async def turn(self) -> bool:
        """Look at every entity once; whether a step is under way."""
        if self._membership.fleet is None:
            return False  # without a lease nobody waits for this process, so it must not act on anything
        self.conducting = await self._control.conduct(self._me.id)
        if not self.conducting:
            return False
        fleet = await self._membership.look()
        if self._refuses(None):
            await self._account_by_time(fleet)
        for state in fleet.entities.values():
            with contextlib.suppress(StoreError):  # one entity's store must not hold up the others
                await self._entity(state, fleet)
        return any(state.step for state in fleet.entities.values())

    async def _account_by_time(self, fleet: Fleet) -> None:
        for lease in fleet.leases:
            if lease.expires_at < fleet.now - self._terms.settle:
                await self._control.account(lease.process.id, "lapsed, and refused calls since then")

    async def _entity(self, state: EntityState, fleet: Fleet) -> None:
        phase = Phase(state.phase)
        aim = self._aim(state.entity, phase)
        if aim is not None and await self._latch(state, phase, aim):
            return  # the next look acts upon it
        if aim is not None and state.latch is not None:
            aim = held_back(aim)
        if aim is None or (state.step is None and aim is phase):
            held = () if state.latch is None else (f"the breaker holds it: {state.latch}",)
            self._observer.waiting(state.entity, held)
            return
        if asyncio.get_running_loop().time() < self._not_before.get(state.entity, 0.0):
            return
        burden = await self._control.burden(state.entity)
        standing = await self._standing(state, phase, aim, burden, fleet)
        decision = decide(standing, self._terms.fence)
        self._observer.waiting(state.entity, tuple(decision.why) if isinstance(decision, Wait) else ())
        change = _transition(state, decision, f"{self._me.host}/{self._me.pid}", fleet.now)
        if change is not None:
            await self._apply(state, change, decision, fleet.now)

    async def _standing(self, state: EntityState, phase: Phase, aim: Phase, burden: Burden, fleet: Fleet) -> Standing:
        ahead = next_towards(phase, aim)
        forward = state.step is None and ahead is not None and ahead.rank > phase.rank
        blocked = await self._blocked(state, ahead, burden, fleet) if forward and ahead else []
        return Standing(
            phase=phase,
            epoch=state.epoch,
            step=Phase(state.step) if state.step else None,
            stage=Stage(state.stage) if state.stage else None,
            stage_age=fleet.now - state.stage_since,
            oldest_mark_age=None if burden.oldest_mark is None else fleet.now - burden.oldest_mark,
            marks=burden.marks,
            debts=burden.debts,
            aim=aim,
            members=members(state, fleet, self._terms.settle if self._refuses(state.entity) else None),
            blocked=tuple(blocked),
        )

    async def _latch(self, state: EntityState, phase: Phase, aim: Phase) -> bool:
        """Trip the entity's breaker, or clear it where the flag has come back to where it holds the entity."""
        if state.stage == Stage.FENCE:
            return False  # which ends soon, one way or the other
        within = aim.rank <= HELD.rank
        if state.latch is not None and within:
            latch, why = None, f"the flag asks for {aim}: the breaker is cleared"
        elif state.latch is None and phase in WATCHED and not within:
            reasons = await self._tripped(state)
            latch, why = "; ".join(reasons) or None, "the breaker trips"
        else:
            return False
        if latch == state.latch:
            return False
        who = f"{self._me.host}/{self._me.pid}"
        change = latched(state, latch, who, why)
        if await self._control.transition(change):
            self._observer.moved(change)
        return True

    async def _apply(self, state: EntityState, change: Transition, decision: Decision, now: float) -> None:
        if change.step in (Phase.READ_NEW, Phase.WRITE_NEW):
            await self._legacy(state.entity).arm()
        done = await self._control.transition(change)
        if done:
            self._observer.moved(change)
        if isinstance(decision, Settle) and state.stage == Stage.FENCE and done:
            self._observer.fenced(state.entity, now - state.stage_since, decision.moved)
            if not decision.moved:
                self._not_before[state.entity] = asyncio.get_running_loop().time() + _FENCE_PAUSE


def latched(state: EntityState, latch: str | None, who: str, why: str) -> Transition:
    """Nothing but the breaker changes: ``latch`` is why it holds the entity, None where it no longer does."""
    evidence = {"latch": latch, "was": state.latch}
    return Transition(state.entity, state.epoch, state.phase, state.step, state.stage, who, why, evidence, latch=latch)


def members(state: EntityState, fleet: Fleet, accounted_after: float | None) -> list[Member]:
    """The processes as a decision about this entity sees them.

    ``accounted_after``: seconds after which one that lapsed is accounted for by time; None: never. One that was not
    renewed since the server restarted may have lost marks, so time does not account for it.
    """

    def over(lease: Lease) -> bool:
        lapsed = accounted_after is not None and lease.expires_at < fleet.now - accounted_after
        return lapsed and lease.generation == fleet.generation

    return [
        Member(
            name=f"{lease.process.host}/{lease.process.pid}",
            live=lease.expires_at >= fleet.now,
            current=lease.generation == fleet.generation,
            acknowledged=lease.acknowledged.get(state.entity, 0),
            protocol=lease.process.protocol,
        )
        for lease in fleet.leases
        if not over(lease)
    ]


def _transition(state: EntityState, decision: Decision, who: str, now: float) -> Transition | None:
    def change(phase: str, step: str | None, stage: str | None, why: str, **more: object) -> Transition:
        latch = state.latch
        return Transition(state.entity, state.epoch, phase, step, stage, who, why, latch=latch, **more)  # type: ignore[arg-type]

    if isinstance(decision, Start):
        return change(state.phase, decision.to, Stage.ANNOUNCE, f"towards {decision.to}")
    if isinstance(decision, Enter):
        return change(state.phase, state.step, decision.stage, f"{decision.stage} of the step to {state.step}")
    if isinstance(decision, Settle):
        return change(decision.phase, None, None, decision.why, **_settled(state, decision, now))
    return None


def _settled(state: EntityState, decision: Settle, now: float) -> Mapping[str, object]:
    """What the end of a step changes beside the phase."""
    more: dict[str, object] = {"move_term": decision.authority, "require_no_marks": decision.authority}
    if not decision.moved:
        return more
    if decision.phase is Phase.DUAL_WRITE and state.phase == Phase.LEGACY:
        more |= {"backfill": "running", "dual_since": now}
    elif PHASES[decision.phase].authority is Store.LEGACY and PHASES[decision.phase].follower is None:
        more |= {"backfill": "none"}
    return more
