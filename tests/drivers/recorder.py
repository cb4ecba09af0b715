"""A plugin of pytest for the process that runs a driver's file: writes down what became of each test.

One line of JSON per test, at once, so that a file which hangs or dies tells what it had done before; at the end one
line with what Shadow's routers counted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from typing import Any, TextIO

import pytest

FILE = "SHADOW_DRIVERS_RESULTS"
"""Names the variable of the environment that says where to write."""

UNHEARD = "SHADOW_DRIVERS_UNHEARD"
"""Set in the environment where calls are not to reach MongoDB as they are made: what was sent is not compared then."""

JOIN_SECONDS = 30.0

_SPECIFICATIONS = ("test.unified_format", "test.asynchronous.unified_format")

_RANK = ("passed", "skipped", "failed")


class Recorder:
    """Writes to ``out``; of a test's several reports (its phases, its subtests) the worst counts."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._outcome = "passed"
        self._why = ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._outcome, self._why = "passed", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if _RANK.index(report.outcome) > _RANK.index(self._outcome):
            self._outcome, self._why = report.outcome, reason(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write(test=nodeid, outcome=self._outcome, why=self._why)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(test=report.nodeid, outcome="failed", why=reason(report))

    def pytest_collection_finish(self) -> None:
        join()
        for name in _SPECIFICATIONS if UNHEARD in os.environ else ():
            if name in sys.modules:
                sys.modules[name].UnifiedSpecTestMixinV1.check_events = _unheard

    def pytest_sessionfinish(self) -> None:
        self._write(
            served=counted("shadow_operations_total", "store"), unserved=counted("shadow_unsupported_total", "name")
        )

    def _write(self, **line: Any) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def _unheard(test: Any, spec: Any) -> None:
    """Instead of comparing the commands that were sent with those that a specification expects."""


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The first line of what a report says; empty for one that passed."""
    told: Any = report.longrepr
    if isinstance(told, tuple):  # of a skipped one: file, line, reason
        return str(told[2])
    crash = getattr(told, "reprcrash", None)
    lines = (crash.message if crash is not None else str(told or "")).strip().splitlines()
    return lines[0] if lines else ""


def join() -> None:
    """Know the phases before the first call, which would be legacy's otherwise: no collection here is armed."""
    if "SHADOW_RUN" in os.environ:
        from shadow.runtime import current

        current().start()
        until = time.monotonic() + JOIN_SECONDS
        while not current().joined and time.monotonic() < until:
            time.sleep(0.01)


def counted(metric: str, label: str) -> dict[str, int]:
    """One of Shadow's counters in this process, by one of its labels; empty where the driver is alone."""
    if "SHADOW_RUN" not in os.environ:
        return {}
    from shadow.metrics.prometheus import registry

    found: Counter[str] = Counter()
    for family in registry().collect():
        for sample in family.samples:
            if sample.name == metric:
                found[sample.labels[label]] += int(sample.value)
    return dict(found)


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder where a file for it is named."""
    if path := os.environ.get(FILE):
        out = open(path, "a", encoding="utf-8")  # noqa: SIM115 (open until the process ends)
        config.pluginmanager.register(Recorder(out), "shadow-recorder")
