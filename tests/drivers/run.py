"""Runs one file of a driver's tests in one phase, in a process of its own, on servers that nothing has touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shadow.cli.run import environment
from shadow.embedded import HOST, MongoServer, PostgresServer
from shadow_flags.phases import Phase
from tests.drivers import recorder
from tests.drivers.results import Result, Test
from tests.drivers.suites import File, Suite, fetched, packages
from tests.drivers.world import BARE, configure, database

ROOT = Path(__file__).parents[2]
TEST_SECONDS = 180
"""A test that takes longer has failed; the longest of those that pass make four thousand writes, each one marked."""
FILE_SECONDS = 900
TOO_LONG = ("numerous", "batch_splits", "across_batches", "multi_batch", "max_message_size")
"""In the names of tests that are left out: they write a hundred thousand records, or fifty megabytes, each."""


def run(file: File, phase: str, postgres: PostgresServer, entities: Iterable[str] = ()) -> Result:
    """What becomes of the file's tests.

    Args:
        phase: one of Shadow's, or `BARE`.
        entities: those that the file is known to use, which begin in the phase.

    Raises `NotToBeHad`.
    """
    folder = fetched(file.suite)
    extra = packages(file.suite) if file.suite.needs else None
    with tempfile.TemporaryDirectory(prefix="shadow-drivers-") as scratch, MongoServer() as mongo:
        here = Path(scratch)
        given = {**_environment(extra), "DB_IP": HOST, "DB_PORT": str(mongo.port), recorder.FILE: str(here / "results")}
        command = [*_pytest(file.suite), f"{file.suite.folder}/{file.name}"]
        if phase == BARE:
            broken = _finished(command, folder, given, here)
            return _result(file, phase, here, broken, ())
        with database(postgres) as store:
            if phase != Phase.LEGACY:
                given[recorder.UNHEARD] = "1"
            config = configure(here, mongo.uri, store.dsn, phase)
            asyncio.run(store.settle(config, phase, entities))
            broken = _finished(command, folder, environment(given, config), here)
            return _result(file, phase, here, broken, asyncio.run(store.entities()))


def _environment(extra: Path | None) -> dict[str, str]:
    """The process finds this repository, and what the suite needs; nothing that is meant for pytest here."""
    paths = [ROOT, ROOT / "adapters", ROOT / "flags", *([extra] if extra else [])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SHADOW_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}


def _pytest(suite: Suite) -> list[str]:
    plugins = ["-p", "no:cacheprovider", "-p", recorder.__name__]
    return [
        *(sys.executable, "-m", "pytest", "-q", "--tb=short", *plugins, "-o", "addopts="),
        *(f"--timeout={TEST_SECONDS}", "-k", f"not ({' or '.join(TOO_LONG)})", *suite.options),
    ]


def _finished(command: list[str], folder: Path, given: Mapping[str, str], here: Path) -> str:
    """Run it to its end, or to the end of our patience; why it did not come to its end, if it did not."""
    with (here / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait(FILE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    if code in (0, 1):
        return ""
    tail = (here / "log").read_text("utf-8", "replace").strip().splitlines()[-1:]
    ended = f"took more than {FILE_SECONDS} s" if code is None else f"ended with {code}"
    return f"{ended}: {' '.join(tail)}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: some tests start processes of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _result(file: File, phase: str, here: Path, broken: str, entities: tuple[str, ...]) -> Result:
    tests: dict[str, Test] = {}
    counted: dict[str, Any] = {}
    written = here / "results"
    for line in written.read_text("utf-8").splitlines() if written.exists() else []:
        each = json.loads(line)
        if "test" in each:
            name = each["test"].partition("::")[2] or each["test"]
            tests[name] = Test(each["outcome"], each["why"])
        else:
            counted = each
    return Result(file.label, phase, tests, broken, **counted, entities=entities)
