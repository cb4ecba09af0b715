"""The phases of an entity, and the steps between them, as one table.

An entity stands in exactly one *settled* phase. Each phase says which store is the authority, which one answers
reads, and which duties a write has: whether it leaves a mark, and whether it awaits the sync of its key. A *step*
joins two neighbours. While a step is under way every process carries the duties of both of its ends, so that no
write is ever made under the rules of one end alone while somebody reads under the rules of the other.

The authority changes at one step only, ``read_new`` <-> ``write_new``, and there for the whole entity at once, behind
a fence: no key ever has two authorities. All other steps may be taken under traffic by weight.

``new`` is the point of no return: its follower is given up, and no step leads out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Store(StrEnum):
    """The two stores of an entity."""

    LEGACY = "legacy"
    NEW = "new"


class Phase(StrEnum):
    """Where an entity stands on the way from legacy to new, in order."""

    LEGACY = "legacy"
    DUAL_WRITE = "dual_write"
    SHADOW_READ = "shadow_read"
    READ_NEW = "read_new"
    WRITE_NEW = "write_new"
    NEW = "new"

    @property
    def rank(self) -> int:
        """Position on the way, 0 for ``legacy``."""
        return _ORDER.index(self)


@dataclass(frozen=True, slots=True)
class Rules:
    """What one phase asks of reads and writes."""

    authority: Store
    follower: Store | None
    reads: Store
    marks: bool  # a write leaves a mark before the authority is changed
    awaits_sync: bool  # a write returns only when its key is synced
    shadow_reads: bool  # the same read is made on the other store and compared
    rehearses: bool  # the same write is tried through new's own write path and rolled back


_ORDER = list(Phase)

PHASES: dict[Phase, Rules] = {
    # phase                  authority     follower      reads         marks  awaits shadow rehearse
    Phase.LEGACY: Rules(Store.LEGACY, None, Store.LEGACY, False, False, False, False),
    Phase.DUAL_WRITE: Rules(Store.LEGACY, Store.NEW, Store.LEGACY, True, False, False, True),
    Phase.SHADOW_READ: Rules(Store.LEGACY, Store.NEW, Store.LEGACY, True, False, True, True),
    Phase.READ_NEW: Rules(Store.LEGACY, Store.NEW, Store.NEW, True, True, True, False),
    Phase.WRITE_NEW: Rules(Store.NEW, Store.LEGACY, Store.NEW, True, False, True, False),
    Phase.NEW: Rules(Store.NEW, None, Store.NEW, False, False, False, False),
}


def neighbours(phase: Phase) -> tuple[Phase, ...]:
    """The phases reachable from ``phase`` in one step. ``new`` has none."""
    if phase is Phase.NEW:
        return ()
    i = phase.rank
    return tuple(_ORDER[j] for j in (i - 1, i + 1) if 0 <= j < len(_ORDER))


def next_towards(phase: Phase, aim: Phase) -> Phase | None:
    """The one step from ``phase`` that leads towards ``aim``; None when it is reached or cannot be."""
    if phase is aim or phase is Phase.NEW:
        return None
    return _ORDER[phase.rank + (1 if aim.rank > phase.rank else -1)]


def moves_authority(a: Phase, b: Phase) -> bool:
    """Whether a step between the two phases moves the authority, and so needs a fence."""
    return PHASES[a].authority is not PHASES[b].authority
