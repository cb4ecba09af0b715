"""What the gates are asked about: what this process has seen, told to the fleet, and what the fleet has seen."""

from __future__ import annotations

from collections.abc import Iterable

from shadow.compare.confidence import upper_bound
from shadow.config import GatesSettings
from shadow.runtime.entity import Entity
from shadow_adapters.contract import Burden, EntityState, Fleet
from shadow_flags.gates import Budgets, Evidence
from shadow_flags.phases import Phase

_ALPHA = 0.05
_UNSUPPORTED = "unsupported:"
_RECENT = "recent:"

Facts = dict[str, tuple[float, float]]


def seen(entities: Iterable[Entity]) -> dict[tuple[str, str], float]:
    """What this process has seen of its entities, as facts for control."""
    found: dict[tuple[str, str], float] = {}
    for entity in entities:
        found |= {
            (entity.name, "compared"): entity.bound.compared,
            (entity.name, "mismatches"): entity.bound.mismatches,
            (entity.name, "rehearsed"): entity.rehearsed.compared,
            (entity.name, "rehearsal_mismatches"): entity.rehearsed.mismatches,
        }
        for seen_name, hits_name, recent in (
            ("compared", "mismatches", entity.bound.recent),
            ("asked", "failed", entity.answers),
        ):
            found[entity.name, _RECENT + seen_name], found[entity.name, _RECENT + hits_name] = recent.counts()
        for store in ("legacy", "new"):
            if (p99 := entity.p99(store)) is not None:
                found[entity.name, f"{store}_p99"] = p99
        for name, count in list(entity.unsupported.items()):
            found[entity.name, _UNSUPPORTED + name] = count
    return found


def budgets(given: GatesSettings) -> Budgets:
    """What the operator tolerates, from the configuration."""
    return Budgets(given.mark_age_seconds, given.mismatch_rate, given.rehearsal_rate, given.p99_ratio, given.error_rate)


def p99_ratio(facts: Facts) -> float | None:
    """New's p99 over legacy's, each of the process where it is worst; None while too little was asked."""
    slow, fast = facts.get("new_p99"), facts.get("legacy_p99")
    return slow[1] / fast[1] if slow and fast and fast[1] > 0 else None


def asks_for_clients(target: Phase, given: GatesSettings) -> bool:
    """Whether the gate to ``target`` wants to know who else uses legacy."""
    return target is Phase.DUAL_WRITE and "clients" not in given.waived


def evidence(
    state: EntityState,
    burden: Burden,
    fleet: Fleet,
    facts: Facts,
    *,
    clients: Iterable[str] = (),
    waived: Iterable[str] = (),
) -> Evidence:
    """The evidence of the whole fleet for one entity.

    ``clients``: those of legacy that are not Shadow's; ``waived``: gates that may not block.
    """

    def total(name: str) -> int:
        return int(facts.get(name, (0.0, 0.0))[0])

    def rate(mismatches: str, compared: str) -> float | None:
        return upper_bound(total(mismatches), total(compared), _ALPHA) if total(compared) else None

    left = total("verify_missing") + total("verify_extra") + total("verify_different")
    return Evidence(
        backfill=state.backfill,
        oldest_mark_age=0.0 if burden.oldest_mark is None else fleet.now - burden.oldest_mark,
        refused=burden.refused,
        debts=burden.debts,
        unsupported={
            name.removeprefix(_UNSUPPORTED): int(count)
            for name, (count, _) in facts.items()
            if name.startswith(_UNSUPPORTED)
        },
        mismatch_rate=rate("mismatches", "compared"),
        rehearsal_rate=rate("rehearsal_mismatches", "rehearsed"),
        p99_ratio=p99_ratio(facts),
        foreign_clients=tuple(clients),
        waived=frozenset(waived),
        verify_clean="verify_compared" in facts and left == 0,  # an empty collection is clean too
    )
