"""The bound holds however often one looks, and comes down with evidence."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare.confidence import RateBound, upper_bound


def ever_below(rate: float, alpha: float, length: int, chance: random.Random) -> bool:
    """Whether the bound falls below the true rate at any look.

    Between two mismatches the bound only falls, so looking just before each mismatch and at the end misses nothing.
    """
    bound = RateBound(alpha)
    for _ in range(length):
        mismatch = chance.random() < rate
        if mismatch and bound.compared and bound.upper < rate:
            return True
        bound.observe(mismatch)
    return bound.upper < rate


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.3])
def test_it_covers_the_true_rate_at_all_times_at_once(rate: float) -> None:
    alpha, streams, chance = 0.1, 300, random.Random(7)
    missed = sum(ever_below(rate, alpha, 1000, chance) for _ in range(streams))
    assert missed <= alpha * streams


def test_it_would_be_seen_if_it_did_not() -> None:
    """The simulation can fail: a bound that promises next to nothing is caught below the true rate."""
    chance = random.Random(7)
    missed = sum(ever_below(0.05, 0.999, 1500, chance) for _ in range(100))
    assert missed > 10


def test_without_evidence_it_says_nothing() -> None:
    assert upper_bound(0, 0, 0.05) == 1.0
    assert upper_bound(5, 5, 0.05) == 1.0


def test_it_comes_down() -> None:
    assert upper_bound(0, 1_000, 0.05) < 0.0075
    assert upper_bound(0, 100_000, 0.05) < 0.0001
    assert 0.01 < upper_bound(100, 10_000, 0.05) < 0.0145


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.001, 0.5))
def test_it_lies_above_what_was_seen_and_moves_with_the_evidence(matches: int, mismatches: int, alpha: float) -> None:
    compared = matches + mismatches
    upper = upper_bound(mismatches, compared, alpha)
    assert (mismatches / compared if compared else 0.0) <= upper <= 1.0
    assert upper_bound(mismatches, compared + 1, alpha) <= upper + 1e-12
    assert upper_bound(mismatches + 1, compared + 1, alpha) >= upper - 1e-12


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0])
def test_alpha_is_a_probability(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        RateBound(alpha)
