"""Gates: what must hold before a phase may advance. Every gate that blocks says why, in words for an operator.

Only the way forward is gated. A step back is never refused; reads leave new first, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shadow_flags.phases import Phase


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the operator tolerates.

    Attributes:
        mark_age: seconds that an open mark may be old.
        mismatch_rate: upper bound of the confirmed mismatch rate.
        rehearsal_rate: upper bound of the rehearsals' mismatch rate.
        p99_ratio: new's p99 over legacy's.
        error_rate: of calls that new did not answer, to the breaker alone.
    """

    mark_age: float = 10.0
    mismatch_rate: float = 0.01
    rehearsal_rate: float = 0.01
    p99_ratio: float = 3.0
    error_rate: float = 0.01


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an entity when a gate is asked.

    ``unsupported`` counts calls by name that only legacy could serve. Rates are upper confidence bounds; None means
    that nothing was compared yet.
    """

    backfill: str = "none"
    oldest_mark_age: float = 0.0
    refused: int = 0
    debts: int = 0
    unsupported: Mapping[str, int] = field(default_factory=dict)
    mismatch_rate: float | None = None
    rehearsal_rate: float | None = None
    p99_ratio: float | None = None
    verify_clean: bool = False
    out_of_band: bool = False  # writers that do not pass Shadow may exist, and no tail runs
    waived: frozenset[str] = frozenset()  # names of gates that the operator has waived
    foreign_clients: tuple[str, ...] = ()  # clients of the legacy store that are not Shadow's


def gates(target: Phase, seen: Evidence, budgets: Budgets) -> dict[str, str]:
    """Every gate before a step forward to ``target``: its name, and why it blocks now (empty where it holds)."""
    named = {
        Phase.DUAL_WRITE: _dual_write,
        Phase.SHADOW_READ: _shadow_read,
        Phase.READ_NEW: _read_new,
        Phase.WRITE_NEW: _write_new,
        Phase.NEW: _new,
    }
    found = named[target](seen, budgets) if target in named else {}
    return {gate: "" if gate in seen.waived else why for gate, why in found.items()}


def blockers(target: Phase, seen: Evidence, budgets: Budgets) -> list[str]:
    """Why a step forward to ``target`` is blocked now; empty when it is not."""
    return [why for why in gates(target, seen, budgets).values() if why]


def _dual_write(seen: Evidence, _: Budgets) -> dict[str, str]:
    clients = ", ".join(seen.foreign_clients)
    why = f"clients that are not Shadow's use the legacy store: {clients}; stop them, or waive the gate `clients`"
    return {"clients": why if clients else ""}


def _shadow_read(seen: Evidence, _: Budgets) -> dict[str, str]:
    return {"backfill": "" if seen.backfill == "done" else f"the backfill is not complete ({seen.backfill})"}


def _open(seen: Evidence, budgets: Budgets) -> dict[str, str]:
    old = seen.oldest_mark_age > budgets.mark_age
    return {
        "marks": f"a mark has been open for {seen.oldest_mark_age:.0f} s (limit {budgets.mark_age:.0f} s)"
        if old
        else "",
        "refused": f"new refuses {seen.refused} record(s): see `shadow status`" if seen.refused else "",
        "debts": f"{seen.debts} debt(s) are open: a verify must pay them" if seen.debts else "",
    }


def _unsupported(seen: Evidence) -> dict[str, str]:
    names = ", ".join(f"{name} ({count})" for name, count in sorted(seen.unsupported.items()) if count)
    return {"unsupported": f"operations that new does not serve yet were seen: {names}" if names else ""}


def _rate(what: str, rate: float | None, budget: float) -> str:
    if rate is None:
        return f"nothing was compared yet: the {what} rate has no bound"
    return f"the {what} rate may be {rate:.2%} (budget {budget:.2%})" if rate > budget else ""


def _read_new(seen: Evidence, budgets: Budgets) -> dict[str, str]:
    slow = seen.p99_ratio is not None and seen.p99_ratio > budgets.p99_ratio
    return {
        **_open(seen, budgets),
        **_unsupported(seen),
        "mismatches": _rate("mismatch", seen.mismatch_rate, budgets.mismatch_rate),
        "latency": f"new's p99 is {seen.p99_ratio:.1f} times legacy's (budget {budgets.p99_ratio:.1f})" if slow else "",
        "out_of_band": "writers that do not pass Shadow may exist, and no tail runs" if seen.out_of_band else "",
    }


def _write_new(seen: Evidence, budgets: Budgets) -> dict[str, str]:
    rehearsed = seen.rehearsal_rate is not None
    return {
        **_open(seen, budgets),
        **_unsupported(seen),
        "rehearsals": _rate("rehearsal mismatch", seen.rehearsal_rate, budgets.rehearsal_rate) if rehearsed else "",
        "verify": "" if seen.verify_clean else "no verify has been clean since the last failure",
    }


def _new(seen: Evidence, budgets: Budgets) -> dict[str, str]:
    return _open(seen, budgets)
