"""The protocol's own code in a simulated fleet: a minute of seeds, and every rule missed when it is taken out.

Each run is replayable: a failure prints its seed. The runs are in a process of their own, because the order of a set of
bytes depends on a seed that Python takes from the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.campaign import run, scenario_of
from tests.sim.mutations import MUTATIONS, search

ROOT = Path(__file__).parents[2]
QUICK = (
    "capture",
    "unsettled",
    "put_mark",
    "enter",
    "upload_age",
    "debt_gate",
    "lapsed",
    "fail_wait",
    "hold",
    "bf_present",
    "fence_hold",
    "unit_marks",
    "unit_await",
    "nameless_wait",
    "refused_kept",
    "refused_read",
    "outbox",
    "refuse",
)
"""One of each rule, soon found."""

PATH = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), str(ROOT / "flags")])


def simulate(*arguments: str) -> str:
    """What `python -m tests.sim` prints. Fails with it where a promise is broken."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_minute_of_seeds_breaks_no_promise() -> None:
    assert "without a violation" in simulate("--seconds", "60")


def test_a_seed_repeats_exactly() -> None:
    once, again = simulate("--seed", "3", "--trace"), simulate("--seed", "3", "--trace")
    assert once == again
    assert "is acknowledged" in once


def test_runs_do_something() -> None:
    """A simulation in which nothing happens would never fail."""
    worlds = [run(seed, scenario_of(seed))[0] for seed in range(1, 21)]
    steps = {row.phase for world in worlds for row in world.server.audit.rows.values()}
    assert sum(world.ledger.acknowledged for world in worlds) > 300
    assert sum(not world.loop.alive(process.name) for world in worlds for process in world.processes) > 10
    assert {"dual_write", "shadow_read", "read_new"} <= steps


@pytest.mark.parametrize("name", QUICK)
def test_a_rule_is_missed(name: str) -> None:
    assert search(MUTATIONS[name], runs=500) is not None


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_rule_is_missed() -> None:
    assert "NOT FOUND" not in simulate("--mutations")
