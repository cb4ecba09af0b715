"""What the README says works: its commands exist and run, its configuration is valid, its tests are where it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shadow.config import parse

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SHELL = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)\n```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"`shadow ([a-z]+)", README)))
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", README)))
TEST_COMMAND = 'python -m pytest -m "not slow" -n 3 --dist loadfile'

_STORES = '[stores]\nmongo = "${MONGODB_URI}"\npostgres = "${DATABASE_URL}"\n'
_ENVIRONMENT = {
    "MONGODB_URI": "mongodb://127.0.0.1",
    "DATABASE_URL": "postgresql://127.0.0.1/app",
    "UNLEASH_URL": "http://127.0.0.1:4242",
    "UNLEASH_TOKEN": "development.token",
}


def test_the_readme_has_one_command_for_the_demo_and_one_for_the_tests() -> None:
    assert len(SHELL) == 2
    assert SHELL[0].endswith(".venv/bin/shadow demo")
    assert SHELL[1].endswith(f".venv/bin/{TEST_COMMAND}")


def test_ci_runs_the_readmes_test_command() -> None:
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_exists(command: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), str(ROOT / "flags")])
    done = subprocess.run(
        [sys.executable, "-c", "from shadow.cli import main; main()", command, "--help"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"shadow {command}" in done.stdout


@pytest.mark.parametrize("text", TOML, ids=range(len(TOML)))
def test_every_configuration_of_the_readme_is_valid(text: str) -> None:
    given = text if "[stores]" in text else _STORES + text
    settings = parse(tomllib.loads(given), _ENVIRONMENT, source="README.md")
    assert settings.entities


@pytest.mark.parametrize("path", TESTS)
def test_every_test_that_the_readme_names_is_there(path: str) -> None:
    assert "def test_" in (ROOT / path).read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_command_works_in_a_fresh_checkout(tmp_path: Path) -> None:
    """As it stands, with nothing but Python: a new virtual environment in a copy of what git has."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    clone = tmp_path / "clone"
    subprocess.run([git, "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(["bash", "-c", SHELL[0]], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
