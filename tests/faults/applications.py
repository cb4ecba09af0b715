"""Starts applications as processes, and reads their ledgers."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.journeys.runtime_support import PATIENCE, ROOT, Site, environment


class Child:
    """One `tests.faults.application`: `start`, `go`, then `kill`, or `end` for a SIGTERM."""

    def __init__(self, site: Site, name: str = "a", **options: object) -> None:
        self.ledger = site.folder / f"{name}.ledger"
        self._errors = site.folder / f"{name}.stderr"
        words = [f"--{option}" if value is True else f"--{option}={value}" for option, value in options.items()]
        self._environment = {**environment(), "SHADOW_CONFIG": str(site.config)}
        self._command = [str(site.config), str(self.ledger), f"--name={name}", *words]

    async def start(self) -> Self:
        """Start it, and wait until it is served."""
        with self._errors.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.application",
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=self._environment,
                cwd=ROOT,
            )
        await self.says("ready")
        return self

    async def says(self, word: str, patience: float = PATIENCE) -> None:
        """Wait for a line of its output, so many seconds at most."""
        assert self.process.stdout is not None
        async with asyncio.timeout(patience):
            line = await self.process.stdout.readline()
        assert line.decode().strip() == word, self._errors.read_text()

    def go(self) -> None:
        """Let it begin to write."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")

    async def kill(self) -> None:
        """`kill -9`."""
        await self._signal(signal.SIGKILL)

    async def end(self) -> None:
        """SIGTERM."""
        await self._signal(signal.SIGTERM)

    async def _signal(self, number: int) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()


@dataclass
class Ledger:
    """What may be true of each key, from the lines that applications have appended so far.

    Attributes:
        acknowledged: key -> the number of the last write that was acknowledged (0: the record is gone).
        begun: key -> numbers of writes begun since, of which nobody knows whether they were made.
        errors: what callers saw.
        given: every number that was given.
        writes: how many writes were acknowledged.
    """

    acknowledged: dict[str, int] = field(default_factory=dict)
    begun: dict[str, set[int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    given: set[int] = field(default_factory=set)
    writes: int = 0
    _read: int = 0

    def follow(self, path: Path) -> None:
        """Take in what was appended since the last look; the first line makes the file."""
        data = path.read_bytes() if path.exists() else b""
        for line in data[self._read :].decode().splitlines():
            self._take(*line.split(" ", 2))
        self._read = len(data)

    @property
    def last(self) -> int:
        """The highest number given."""
        return max(self.given, default=0)

    def forget_place(self) -> None:
        """Another file comes next."""
        self._read = 0

    def settle(self, found: dict[str, int]) -> list[str]:
        """Hold the records that are there against the ledger, and go on from them; what was lost, in words."""
        lost = []
        for key in sorted(self.acknowledged.keys() | self.begun.keys()):
            last, there = self.acknowledged.get(key, 0), found.get(key, 0)
            if there != last and there not in self.begun.get(key, ()):
                lost.append(f"{key} is {there}, acknowledged was {last}, in doubt {self.begun.get(key)}")
            self.acknowledged[key] = there
        self.begun.clear()
        return lost

    def _take(self, sign: str, key: str, number: str = "") -> None:
        if sign == "!":
            self.errors.append(f"{key} {number}")
            return
        self.given.add(int(number))
        if sign == "+":
            self.begun.setdefault(key, set()).add(int(number))
        else:
            self.writes += 1
            self.acknowledged[key] = int(number)
            self.begun.pop(key, None)


def numbers(records: Iterable[dict[str, object]]) -> dict[str, int]:
    """Key -> number of the records that are there."""
    return {str(record["_id"]): int(str(record["n"])) for record in records}
