"""The breaker: takes an entity back to where legacy answers, by itself, where new does badly under its callers.

It trips in ``read_new`` and ``write_new`` on what the fleet saw in the last minute, over the budgets of the gates, and
then holds the entity: its aim is no further than ``shadow_read`` (comparisons go on there), whatever the flag wants,
until the flag asks for no more than that, or an operator clears it. No step leads out of ``new``, so it does not trip
there.
"""

from __future__ import annotations

from dataclasses import dataclass

from shadow_flags.gates import Budgets
from shadow_flags.phases import Phase

WATCHED = (Phase.READ_NEW, Phase.WRITE_NEW)
HELD = Phase.SHADOW_READ
"""The furthest phase that an entity may stand in while it is held."""


@dataclass(frozen=True, slots=True)
class Signs:
    """How new did under its callers.

    Attributes:
        mismatch_rate: lower confidence bound of the confirmed mismatch rate, of the last minute.
        error_rate: lower confidence bound of the rate of calls that new did not answer, of the last minute.
        p99_ratio: new's recent p99 over legacy's, once it has been over the budget for some time; else None.
        waived: names of the gates that the operator has waived: they do not trip either.
    """

    mismatch_rate: float = 0.0
    error_rate: float = 0.0
    p99_ratio: float | None = None
    waived: frozenset[str] = frozenset()


def tripped(phase: Phase, seen: Signs, budgets: Budgets) -> list[str]:
    """Why the breaker trips; empty where it does not.

    In ``write_new`` a mismatch speaks against legacy, which callers must not be taken back to for that.
    """
    reasons = {}
    if phase is not Phase.WRITE_NEW and seen.mismatch_rate > budgets.mismatch_rate:
        reasons["mismatches"] = (
            f"the mismatch rate of the last minute is at least {seen.mismatch_rate:.2%} "
            f"(budget {budgets.mismatch_rate:.2%})"
        )
    if seen.error_rate > budgets.error_rate:
        reasons["errors"] = (
            f"new left at least {seen.error_rate:.2%} of the last minute's calls without an answer "
            f"(budget {budgets.error_rate:.2%})"
        )
    if seen.p99_ratio is not None and seen.p99_ratio > budgets.p99_ratio:
        reasons["latency"] = (
            f"new's p99 has been {seen.p99_ratio:.1f} times legacy's for too long (budget {budgets.p99_ratio:.1f})"
        )
    return [why for gate, why in reasons.items() if gate not in seen.waived]


def held_back(aim: Phase) -> Phase:
    """The aim of an entity that the breaker holds."""
    return min(aim, HELD, key=lambda phase: phase.rank)
