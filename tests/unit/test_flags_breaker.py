"""The breaker: what trips it, what does not, and what was seen in the last minute."""

from __future__ import annotations

import pytest

from shadow.compare.confidence import lower_bound, upper_bound
from shadow.config import GatesSettings
from shadow.metrics.recent import SPAN, Recent
from shadow.runtime.asked import Asked
from shadow.runtime.breaker import SLOW_SECONDS, Breaker
from shadow_adapters.failures import (
    CommandFailure,
    EpochMoved,
    NotReadable,
    OutcomeUnknown,
    OutOfTime,
    StoreDown,
)
from shadow_flags.breaker import Signs, held_back, tripped
from shadow_flags.gates import Budgets
from shadow_flags.phases import Phase


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def facts(**totals: float) -> dict[str, tuple[float, float]]:
    return {name.replace("recent_", "recent:"): (value, value) for name, value in totals.items()}


@pytest.mark.parametrize(
    ("signs", "named"),
    [
        (Signs(mismatch_rate=0.02), "mismatch rate"),
        (Signs(error_rate=0.02), "without an answer"),
        (Signs(p99_ratio=3.5), "p99"),
    ],
)
def test_each_budget_trips_it_and_says_so(signs: Signs, named: str) -> None:
    (why,) = tripped(Phase.READ_NEW, signs, Budgets())
    assert named in why and "budget" in why


def test_a_mismatch_speaks_against_legacy_where_new_is_the_authority() -> None:
    assert tripped(Phase.WRITE_NEW, Signs(mismatch_rate=1.0), Budgets()) == []
    assert len(tripped(Phase.WRITE_NEW, Signs(error_rate=1.0, p99_ratio=9.0), Budgets())) == 2


def test_at_the_budgets_it_holds() -> None:
    assert tripped(Phase.READ_NEW, Signs(mismatch_rate=0.01, error_rate=0.01, p99_ratio=3.0), Budgets()) == []


def test_what_is_waived_does_not_trip_it() -> None:
    everything = frozenset(("mismatches", "errors", "latency"))
    assert tripped(Phase.READ_NEW, Signs(1.0, 1.0, 100.0, everything), Budgets()) == []
    assert len(tripped(Phase.READ_NEW, Signs(1.0, 1.0, 100.0, everything - {"errors"}), Budgets())) == 1


@pytest.mark.parametrize("aim", Phase)
def test_what_is_held_goes_no_further_than_where_legacy_answers(aim: Phase) -> None:
    assert held_back(aim) is (aim if aim.rank <= 2 else Phase.SHADOW_READ)


@pytest.mark.parametrize(("hits", "seen"), [(0, 0), (0, 100), (3, 100), (50, 100), (100, 100)])
def test_the_lower_bound_lies_below_the_rate_and_mirrors_the_upper_one(hits: int, seen: int) -> None:
    assert 0 <= lower_bound(hits, seen, 0.05) <= (hits / seen if seen else 0)
    assert lower_bound(hits, seen, 0.05) == pytest.approx(1 - upper_bound(seen - hits, seen, 0.05))


def test_one_mismatch_is_no_reason_and_many_are() -> None:
    breaker = Breaker(GatesSettings())
    assert breaker.look("e", Phase.READ_NEW, facts(recent_compared=1, recent_mismatches=1)) == []
    assert breaker.look("e", Phase.READ_NEW, facts(recent_compared=1000, recent_mismatches=10)) == []
    assert len(breaker.look("e", Phase.READ_NEW, facts(recent_compared=1000, recent_mismatches=100))) == 1
    assert len(breaker.look("e", Phase.READ_NEW, facts(recent_asked=1000, recent_failed=100))) == 1
    assert breaker.look("e", Phase.READ_NEW, {}) == []


def test_new_must_be_slow_for_some_time() -> None:
    clock = Clock()
    breaker = Breaker(GatesSettings(), clock)
    slow, fast = facts(new_p99=0.9, legacy_p99=0.1), facts(new_p99=0.1, legacy_p99=0.1)
    assert breaker.look("e", Phase.READ_NEW, slow) == []
    clock.now += SLOW_SECONDS - 1
    assert breaker.look("e", Phase.READ_NEW, slow) == []
    assert breaker.look("e", Phase.READ_NEW, fast) == []  # so it begins anew
    assert breaker.look("e", Phase.READ_NEW, slow) == []
    clock.now += SLOW_SECONDS
    assert breaker.look("other", Phase.READ_NEW, slow) == []
    assert len(breaker.look("e", Phase.READ_NEW, slow)) == 1


def test_a_minute_is_remembered() -> None:
    clock = Clock()
    recent = Recent(clock)
    for hit in (True, False, False):
        recent.observe(hit)
    assert recent.counts() == (3, 1)
    clock.now += SPAN / 2
    recent.observe(True)
    assert recent.counts() == (4, 2)
    clock.now += SPAN / 2
    assert recent.counts() == (1, 1)
    clock.now += SPAN
    assert recent.counts() == (0, 0)
    recent.observe(True)
    recent.forget()
    assert recent.counts() == (0, 0)


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (None, (1, 0)),
        (CommandFailure(11000, "a refusal is an answer"), (1, 0)),
        (StoreDown(""), (1, 1)),
        (OutcomeUnknown(""), (1, 1)),
        (NotReadable("e"), (0, 0)),
        (EpochMoved("e"), (0, 0)),
        (OutOfTime(""), (0, 0)),
        (KeyboardInterrupt(), (0, 0)),
    ],
)
def test_what_new_left_without_an_answer_is_counted(error: BaseException | None, counted: tuple[int, int]) -> None:
    recent = Recent()
    try:
        with Asked(recent):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert recent.counts() == counted
