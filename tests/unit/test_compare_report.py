"""What is told of comparisons: metrics by kind and state, samples, the bound, and a log without values."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shadow.compare.confidence import RateBound
from shadow.compare.differ import difference
from shadow.compare.judge import Verdict
from shadow.compare.kinds import RECORD, State
from shadow.compare.report import Report
from shadow.compare.samples import Sampler
from shadow.compare.worker import Comparison
from shadow.metrics.prometheus import PrometheusSink
from shadow_adapters.failures import CommandFailure, StoreDown
from shadow_adapters.postgres.samples import NewSample


async def nothing() -> Any:
    return None


COMPARISON = Comparison("find_one", RECORD, b"k", 0.0, None, True, "new", nothing, nothing, 1)
FOUND = difference(RECORD, {"_id": 1, "a": "hunter2"}, {"_id": 1, "a": "hunter3"})


class Told:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stored: list[NewSample] = []
        self.bound = RateBound(0.05)
        sink = PrometheusSink(self.registry)
        self.report = Report("agents", sink, Sampler("agents", self.store, sink), self.bound)

    async def store(self, batch: Sequence[NewSample]) -> None:
        self.stored.extend(batch)

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"entity": "agents", **labels})


@pytest.mark.parametrize("state", State)
async def test_a_mismatch_is_counted_by_kind_and_state_and_sampled(state: State) -> None:
    told = Told()
    told.report.verdict(COMPARISON, Verdict(FOUND, state, b"k"), 0.002)
    await told.report.flush()
    assert told.value("shadow_mismatches_total", kind="value", state=state.value) == 1
    assert [(s.op, s.state, s.key) for s in told.stored] == [("find_one", state, b"k")]
    assert "hunter" not in told.stored[0].explanation


async def test_the_bound_counts_what_is_conclusive() -> None:
    told = Told()
    told.report.verdict(COMPARISON, Verdict(), 0.002)
    for state in State:
        told.report.verdict(COMPARISON, Verdict(FOUND, state, b"k"), 0.002)
    assert (told.bound.mismatches, told.bound.compared) == (1, 3)
    await told.report.flush()
    assert told.value("shadow_mismatch_rate_upper") == told.bound.upper
    assert told.value("shadow_compared_seconds_count", op="find_one", store="new") == 6


def test_what_new_cannot_serve_is_counted_by_name() -> None:
    told = Told()
    told.report.error(COMPARISON, CommandFailure(2, "x", unsupported="$where"))
    told.report.error(COMPARISON, StoreDown("away"))
    assert told.value("shadow_unsupported_total", name="$where") == 1


def test_a_confirmed_mismatch_is_logged_without_values(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with caplog.at_level(logging.INFO, "shadow"):
        told.report.verdict(COMPARISON, Verdict(FOUND, State.IN_FLIGHT, b"secret key"), 0.002)
        for _ in range(100):
            told.report.verdict(COMPARISON, Verdict(FOUND, State.CONFIRMED, b"secret key"), 0.002)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) < 20, "a storm of mismatches is not a storm of log lines"
    message = messages[0]
    assert "event=mismatch" in message and "kind=value" in message and "path=a" in message
    assert "hunter" not in message and "secret" not in message and "withheld" not in message


async def test_a_storm_of_other_differences_does_not_hide_a_confirmed_one() -> None:
    told = Told()
    for _ in range(100):
        told.report.verdict(COMPARISON, Verdict(FOUND, State.IN_FLIGHT, b"k"), 0.002)
    told.report.verdict(COMPARISON, Verdict(FOUND, State.CONFIRMED, b"k"), 0.002)
    await told.report.flush()
    assert [s.state for s in told.stored].count("confirmed") == 1 and len(told.stored) == 10
    assert told.value("shadow_samples_dropped_total") == 91
