"""What a process acts under for one entity: the state that the fleet agreed on, turned into duties.

A view is immutable and replaced as a whole. While a step is under way it carries the duties of both of its ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from shadow_adapters.contract import EntityState
from shadow_flags.phases import PHASES, Phase, Store


@dataclass(frozen=True, slots=True)
class View:
    """Duties of one process for one entity.

    Attributes:
        authority: the store whose state is the truth.
        marks: a write leaves a mark first (where new is the authority, the outbox does it).
        awaits: a write returns only after its sync; on the way back from ``write_new`` too, so that legacy catches up.
        reads_new: new may answer reads.
        shadows: reads are made on the other store too.
        rehearses: writes are tried on new too, and rolled back.
        holding: a fence is up: no new call begins.
        follows: the authority's state is copied to a follower.
        known: False until control was reached for the first time.
    """

    entity: str
    phase: Phase
    epoch: int
    term: int
    step: Phase | None
    authority: Store
    marks: bool
    awaits: bool
    reads_new: bool
    shadows: bool
    rehearses: bool
    holding: bool
    follows: bool
    known: bool = True

    @property
    def quiet(self) -> bool:
        """Whether nothing but legacy has a part in any call."""
        return self.phase is Phase.LEGACY and self.step is None and self.known


def view_of(state: EntityState) -> View:
    """The duties that a state lays on every process that acts under it."""
    phase = Phase(state.phase)
    step = Phase(state.step) if state.step else None
    rules = PHASES[phase]
    ends = [rules] if step is None else [rules, PHASES[step]]
    legacy_rules = rules.authority is Store.LEGACY
    return View(
        entity=state.entity,
        phase=phase,
        epoch=state.epoch,
        term=state.term,
        step=step,
        authority=rules.authority,
        marks=legacy_rules and any(end.marks for end in ends),
        awaits=any(end.awaits_sync for end in ends),
        reads_new=rules.reads is Store.NEW and step is not Phase.SHADOW_READ,
        shadows=rules.shadow_reads,
        rehearses=rules.rehearses and state.backfill == "done",
        holding=state.stage == "fence",
        follows=rules.follower is not None or any(end.follower is not None for end in ends),
    )


def unknown_view(entity: str) -> View:
    """The view before control was ever reached: legacy answers, every write is marked (in the journal)."""
    return View(
        entity=entity,
        phase=Phase.LEGACY,
        epoch=0,
        term=0,
        step=None,
        authority=Store.LEGACY,
        marks=True,
        awaits=False,
        reads_new=False,
        shadows=False,
        rehearses=False,
        holding=False,
        follows=False,
        known=False,
    )
