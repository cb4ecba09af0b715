"""The demo as a person starts it: it ends well, says so to a machine, and shows the whole journey in its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SECONDS = 170
PHASES = ["legacy", "dual_write", "shadow_read", "canary_10", "canary_50", "read_new", "write_new", "new"]
KEYS = ["compared", "lost", "caller_errors", "mismatches", "planted", "fence_ms_max", "phases", "seconds"]
ROOT = Path(__file__).parents[2]
PYTHON_PATH = os.pathsep.join(str(ROOT / part) for part in (".", "adapters", "flags"))
COMMAND = (sys.executable, "-c", "from shadow.cli import main; main()", "demo")


@dataclass(frozen=True)
class Run:
    code: int
    output: str
    verdict: dict[str, Any]
    report: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("demo")
    verdict, report = folder / "verdict.json", folder / "report.html"
    ended = subprocess.run(
        [*COMMAND, "--records", "300", "--json", str(verdict), "--report", str(report)],
        env=os.environ | {"PYTHONPATH": PYTHON_PATH},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert verdict.exists(), output
    yield Run(ended.returncode, output, json.loads(verdict.read_text()), report.read_text())


def test_nothing_is_lost_failed_or_unexplained(run: Run) -> None:
    assert run.code == 0, run.output
    assert (run.verdict["lost"], run.verdict["caller_errors"]) == (0, 0)
    assert run.verdict["compared"] >= 300


def test_planted_divergence_is_found_and_repaired(run: Run) -> None:
    assert run.verdict["planted"] == {"found": True, "repaired": True}
    assert run.verdict["mismatches"]["value"]["confirmed"] >= 1


def test_every_phase_was_measured_against_the_bare_driver(run: Run) -> None:
    assert [phase["phase"] for phase in run.verdict["phases"]] == PHASES
    assert all(
        phase["ops"] > 0 and phase["p50_ratio"] > 0 and phase["p99_ratio"] > 0 for phase in run.verdict["phases"]
    )


def test_verdict_has_the_promised_shape(run: Run) -> None:
    assert list(run.verdict) == KEYS
    assert run.verdict["fence_ms_max"] > 0


def test_report_needs_nothing_from_elsewhere(run: Run) -> None:
    assert run.report.count("<svg") == 5
    assert "src=" not in run.report and "http" not in run.report
    assert "<!--BODY-->" not in run.report


def test_interrupt_ends_cleanly() -> None:
    """Ctrl-C reaches everything that the terminal runs; the demo stops its servers and leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # the server's own user, where the tests run as root, must get in
        demo = subprocess.Popen(
            [*COMMAND, "--records", "100"],
            env=os.environ | {"PYTHONPATH": PYTHON_PATH, "TMPDIR": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert demo.stdout is not None
        seen = next((line for line in demo.stdout if "dual_write:" in line), None)
        os.killpg(demo.pid, signal.SIGINT)
        output, _ = demo.communicate(timeout=SECONDS)
        assert seen is not None, output
        assert (demo.returncode, output.strip().splitlines()[-1]) == (130, "interrupted; the servers are stopped")
        assert os.listdir(folder) == []
