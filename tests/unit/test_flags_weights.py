"""Phases and settings as people write them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import Phase
from shadow_flags.settings import read_settings
from shadow_flags.weights import deal, read_phase

WHERE = "entities.agents.phase"


def test_a_name_is_the_phase_of_every_bucket() -> None:
    assert read_phase("shadow_read", WHERE) == ([Phase.SHADOW_READ] * BUCKETS, [])


def test_weights_are_exact_and_a_growing_canary_keeps_its_buckets() -> None:
    small, _ = read_phase({"shadow_read": 90, "read_new": 10}, WHERE)
    large, _ = read_phase({"read_new": 50, "shadow_read": 30, "dual_write": 20}, WHERE)
    assert small is not None
    assert large is not None
    assert Counter(small) == {Phase.READ_NEW: 100, Phase.SHADOW_READ: 900}
    assert Counter(large) == {Phase.READ_NEW: 500, Phase.SHADOW_READ: 300, Phase.DUAL_WRITE: 200}
    assert all(large[bucket] is Phase.READ_NEW for bucket in range(BUCKETS) if small[bucket] is Phase.READ_NEW)


def test_a_tenth_of_a_percent_is_one_bucket() -> None:
    phases, problems = read_phase({"shadow_read": 99.9, "read_new": 0.1}, WHERE)
    assert problems == []
    assert Counter(phases or []) == {Phase.SHADOW_READ: 999, Phase.READ_NEW: 1}


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=len(Phase)))
def test_every_bucket_is_dealt_whatever_the_weights(parts: list[float]) -> None:
    weights = {phase: part / sum(parts) * 100 for phase, part in zip(Phase, parts, strict=False)}
    dealt = deal(weights)
    assert len(dealt) == BUCKETS
    assert all(abs(dealt.count(phase) - weight * 10) <= 1 for phase, weight in weights.items())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("readnew", ["entities.agents.phase: 'readnew' is no phase (did you mean 'read_new'?)"]),
        ("x", ["'x' is no phase; phases are legacy, dual_write, shadow_read, read_new, write_new, new"]),
        ("READ_NEW", ["'READ_NEW' is no phase"]),
        (3, ["'3' is no phase"]),
        (None, ["'None' is no phase"]),
        ([], ["'[]' is no phase"]),
        ({}, ["the weights make 0, not 100"]),
        ({"shadow_read": 90, "read_new": 20}, ["the weights make 110, not 100"]),
        ({"shadow_read": True, "read_new": 99}, ["entities.agents.phase.shadow_read: a weight is a number of percent"]),
        ({"shadow_read": -1, "read_new": 101}, ["phase.shadow_read: a weight", "phase.read_new: a weight"]),
        ({"shadow_read": float("nan"), "read_new": 1}, ["phase.shadow_read: a weight"]),
        ({"reed_new": 50, "new": "half"}, ["entities.agents.phase: 'reed_new'", "phase.new: a weight"]),
    ],
)
def test_every_mistake_is_named_with_its_place(value: Any, says: list[str]) -> None:
    phases, problems = read_phase(value, WHERE)
    assert phases is None
    assert len(problems) == len(says)
    for problem, expected in zip(problems, says, strict=True):
        assert expected in problem


def test_settings_that_are_not_allowed_are_named_and_left_out() -> None:
    given = {"sample_rate": 1, "rehearse": "yes", "colour": "red"}
    allowed, problems = read_settings(given, "entities.agents")
    assert allowed == {"sample_rate": 1}
    assert problems == [
        "entities.agents.rehearse: must be true or false, not str; ignored",
        "entities.agents.colour: no such setting; settings are sample_rate, rehearse",
    ]


@pytest.mark.parametrize("rate", [-0.1, 1.1, True, "0.5", None, float("nan")])
def test_a_sample_rate_is_a_share(rate: Any) -> None:
    assert read_settings({"sample_rate": rate}, "x")[0] == {}
