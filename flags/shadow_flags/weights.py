"""A phase, or weights of phases, as the configuration file says it, dealt over the buckets.

The furthest phase takes the buckets from 0 upwards. Which keys fall there is as good as random, and a canary that
grows from 10 to 50 % keeps the keys that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import Phase

_WHOLE = 100  # weights are percent


def phase_named(name: Any, where: str) -> tuple[Phase | None, str | None]:
    """The phase of this name, or a problem that names ``where`` and lists the phases."""
    if isinstance(name, str) and name in set(Phase):
        return Phase(name), None
    near = get_close_matches(str(name), [phase.value for phase in Phase], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return None, f"{where}: {str(name)[:60]!r} is no phase{hint}; phases are {', '.join(Phase)}"


def read_phase(value: Any, where: str) -> tuple[list[Phase] | None, list[str]]:
    """The phase of each bucket, from a name or a table of names and percents; else None and every problem.

    >>> read_phase({"shadow_read": 90, "read_new": 10}, "entities.agents.phase")[0].count("read_new")
    100
    """
    if not isinstance(value, Mapping):
        phase, problem = phase_named(value, where)
        return ([phase] * BUCKETS, []) if phase else (None, [problem or ""])
    named = {name: phase_named(name, where) for name in value}
    problems = [problem for _, problem in named.values() if problem]
    problems += [
        f"{where}.{name}: a weight is a number of percent, 0 to 100, not {str(weight)[:60]!r}"
        for name, weight in value.items()
        if not _is_weight(weight)
    ]
    if not problems and abs(sum(value.values()) - _WHOLE) > 1e-6:
        problems.append(f"{where}: the weights make {sum(value.values()):g}, not {_WHOLE}")
    if problems:
        return None, problems
    return deal({phase: value[name] for name, (phase, _) in named.items() if phase}), []


def deal(weights: Mapping[Phase, float]) -> list[Phase]:
    """The phase of each bucket, for percents that make 100."""
    dealt: list[Phase] = []
    reached = 0.0
    for phase in sorted(weights, key=lambda phase: phase.rank, reverse=True):
        reached += weights[phase]
        dealt += [phase] * (round(reached * BUCKETS / _WHOLE) - len(dealt))
    return dealt


def _is_weight(weight: Any) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and 0 <= weight <= _WHOLE
