"""``shadow run``: the command is the process itself; what is wrong is said before it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = '[stores]\nmongo = "mongodb://127.0.0.1:1"\npostgres = "postgresql://127.0.0.1:1/x"\n'


def shadow(folder: Path, *args: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "adapters", ROOT / "flags")))
    given = {name: value for name, value in os.environ.items() if name != "SHADOW_CONFIG"} | {"PYTHONPATH": paths}
    call = [sys.executable, "-m", "shadow", *args]
    return subprocess.Popen(call, cwd=folder, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shadow.toml").write_text(CONFIG)
    return tmp_path


def test_arguments_output_and_exit_code_are_the_commands(folder: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['SHADOW_CONFIG']); sys.exit(7)"
    done = shadow(folder, "run", "--", sys.executable, "-c", code, "--config", "-x")
    told, _ = done.communicate(timeout=60)
    assert (told, done.returncode) == (f"['--config', '-x'] {folder / 'shadow.toml'}\n", 7)


def test_signals_reach_the_command(folder: Path) -> None:
    code = "import signal; print('ready', flush=True); signal.pause()"
    done = shadow(folder, "run", "--", sys.executable, "-c", code)
    assert done.stdout is not None and done.stdout.readline() == "ready\n"
    done.send_signal(signal.SIGTERM)
    done.communicate(timeout=60)
    assert done.returncode == -signal.SIGTERM


def test_a_command_that_is_not_there_is_named(folder: Path) -> None:
    done = shadow(folder, "run", "--", "no-such-command-anywhere", "x")
    _, told = done.communicate(timeout=60)
    assert (told, done.returncode) == ("shadow: there is no command 'no-such-command-anywhere'\n", 127)


def test_a_missing_configuration_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = shadow(tmp_path, "run", "--", sys.executable, "-c", "print('started')")
    said, told = done.communicate(timeout=60)
    assert (said, done.returncode) == ("", 2)
    assert "shadow.toml has 1 mistake" in told and "SHADOW_CONFIG" in told
