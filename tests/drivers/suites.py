"""The drivers' test suites: which of their files are run, and how they are had."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

CACHE = Path(tempfile.gettempdir()) / "shadow-driver-suites"
FETCH_SECONDS = 600


class NotToBeHad(RuntimeError):
    """A driver's tests cannot be fetched here. The text says why."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One driver's tests.

    Attributes:
        package: the driver's distribution.
        folder: where in its source the files are.
        files: those that are run.
        options: pytest's, in place of what the driver's own configuration adds.
        needs: further packages that its tests import.
    """

    package: str
    folder: str
    files: tuple[str, ...]
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """One file of a suite."""

    suite: Suite
    name: str

    @property
    def label(self) -> str:
        """The file as it is shown and asked for."""
        return f"{self.suite.package}/{self.suite.folder}/{self.name}"


_CALLS = """
    bulk change_stream client client_bulk_write collation collection collection_management comment
    crud_unified cursor custom_types database
    examples grid_file gridfs_bucket raw_bson run_command session sessions_unified transactions
"""
"""Tests that PyMongo has in both of its shapes. What is left out needs a server that no test of ours can start (with
authentication, TLS, encryption, several members), or looks at no call of an application."""


def _named(names: str) -> tuple[str, ...]:
    return tuple(f"test_{name}.py" for name in names.split())


SUITES = (
    Suite(
        "pymongo",
        "test/asynchronous",
        _named(_CALLS),
        options=("-m", "default or default_async"),
    ),
    Suite("pymongo", "test", _named(_CALLS + "threads default_exports"), options=("-m", "default or default_async")),
    Suite(
        "motor",
        "test/asyncio_tests",
        _named(
            "asyncio_await asyncio_basic asyncio_change_stream asyncio_client asyncio_collection asyncio_cursor "
            "asyncio_database asyncio_grid_file asyncio_gridfsbucket asyncio_session examples"
        ),
        # Its configuration knows nothing of this setting, and pytest-asyncio warns where nobody makes it.
        options=("-o", "asyncio_default_fixture_loop_scope=session"),
        needs=("mockupdb",),
    ),
)

FILES = tuple(File(suite, name) for suite in SUITES for name in suite.files)


def fetched(suite: Suite) -> Path:
    """The folder with the tests of the installed version of the driver, and its configuration of pytest.

    Only the tests are there: they import the driver that is installed. Raises `NotToBeHad`.
    """
    release = f"{suite.package}-{version(suite.package)}"
    folder = CACHE / release
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix="shadow-drivers-") as scratch:
            _pip("download", "--no-deps", "--no-binary", ":all:", "--dest", scratch, release.replace("-", "==", 1))
            _unpack(next(Path(scratch).glob("*.tar.gz")), folder)
    return folder


def packages(suite: Suite) -> Path:
    """A folder with what the suite's tests import beside what is installed. Raises `NotToBeHad`."""
    folder = CACHE / f"{suite.package}-needs"
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix="shadow-drivers-") as scratch:
            for need in suite.needs:
                _pip("install", "--no-deps", "--target", scratch, need)
            _keep(Path(scratch), folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="shadow-drivers-") as scratch:
        with tarfile.open(archive) as source:
            source.extractall(scratch, filter="data")
        unpacked = next(Path(scratch).iterdir())
        tests = Path(scratch) / "tests"
        tests.mkdir()
        shutil.move(unpacked / "test", tests / "test")
        shutil.move(unpacked / "pyproject.toml", tests / "pyproject.toml")
        _keep(tests, folder)


def _keep(made: Path, folder: Path) -> None:
    """Copy to the cache, whole or not at all."""
    CACHE.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=CACHE)) / folder.name
    shutil.copytree(made, beside)
    if not folder.exists():
        beside.rename(folder)
    shutil.rmtree(beside.parent)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"pip {arguments[0]} {arguments[-1]} took more than {FETCH_SECONDS} s") from None
    if done.returncode:
        why = done.stderr.strip().splitlines() or ["pip says nothing"]
        raise NotToBeHad(f"pip {arguments[0]} {arguments[-1]}: {why[-1]}")
