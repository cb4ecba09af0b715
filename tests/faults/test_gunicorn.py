"""Applications under gunicorn, preloaded, with two workers, through fences and back: one with two event loops in each
worker, one whose calls are synchronous, from several threads at once."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shadow.embedded import free_port
from shadow_adapters.bson.codec import decode
from tests.faults.applications import Ledger, numbers
from tests.journeys.runtime_support import ENTITY, PATIENCE, ROOT, Site, environment, running, until

THERE_AND_BACK = ["dual_write", "shadow_read", "read_new", "write_new", "read_new", "write_new"]


@pytest.fixture
async def site(tmp_path: Path, mongo_uri: str, postgres_dsn: str) -> Site:
    made = Site(tmp_path, mongo_uri, postgres_dsn, postgres_dsn)
    await made.prepare()
    return made


class Served:
    """A running gunicorn, and what its workers have noted."""

    def __init__(self, site: Site, process: asyncio.subprocess.Process, port: int, errors: Path) -> None:
        self._site = site
        self.process = process
        self._port = port
        self._errors = errors
        self.workers: set[int] = set()

    async def request(self) -> None:
        """One request, which writes; remembers who answered."""
        self.workers.add(await asyncio.to_thread(self._request))

    async def requests(self) -> None:
        """Requests until cancelled."""
        while True:
            await self.request()
            await asyncio.sleep(0.01)

    def ledger(self) -> Ledger:
        """What all loops of all processes have noted."""
        whole = Ledger()
        for path in sorted(self._site.folder.glob("*.ledger")):
            whole.forget_place()
            whole.follow(path)
        return whole

    async def writes(self, count: int) -> None:
        """Wait until so many writes more were acknowledged."""
        goal = self.ledger().writes + count

        async def made() -> bool:
            return self.ledger().writes >= goal

        await until(made, f"{count} writes", self.told)

    async def told(self) -> str:
        """What to show where something did not happen."""
        return self._errors.read_text() + await self._site.status()

    def _request(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        connection.request("GET", "/")
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        assert answer.status == 200, self._errors.read_text()
        return int(said)


@asynccontextmanager
async def gunicorn(site: Site, application: str, *options: str) -> AsyncIterator[Served]:
    """gunicorn with two preloaded workers, once both have answered."""
    port, errors = free_port(), site.folder / "gunicorn.log"
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gunicorn", "--preload", "--workers=2", f"--bind=127.0.0.1:{port}", *options),
            f"tests.faults.{application}:app",
            stdout=log,
            stderr=log,
            env={**environment(), "SHADOW_CONFIG": str(site.config), "LEDGERS": str(site.folder)},
            cwd=ROOT,
        )
    served = Served(site, process, port, errors)

    async def both_answer() -> bool:
        assert process.returncode is None, errors.read_text()
        try:
            await served.request()
        except OSError:
            return False
        return len(served.workers) == 2

    try:
        await until(both_answer, "an answer of both workers", served.told)
        yield served
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def processes(site: Site) -> list[dict[str, Any]]:
    """The processes that ``shadow status`` shows."""
    found: list[dict[str, Any]] = json.loads(await site.told("status", "--json"))["processes"]
    return found


@pytest.mark.parametrize(
    ("application", "options", "at_once"),
    [("gunicorn_app", (), 1), ("gunicorn_threads_app", ("--threads=4",), 6)],
    ids=["loops", "threads"],
)
@pytest.mark.timeout(400)
async def test_two_preloaded_workers_write_through_fences_and_say_goodbye(
    site: Site, application: str, options: tuple[str, ...], at_once: int
) -> None:
    async with gunicorn(site, application, *options) as served:
        traffic = asyncio.gather(*(served.requests() for _ in range(at_once)))
        for phase in THERE_AND_BACK:
            if phase == "write_new":
                await site.told("verify", ENTITY)
            await site.moved_to(phase)
            if phase == "dual_write":
                await site.backfilled()
            await served.writes(20)

        shown = {int(each["where"].rpartition("/")[2]) for each in await processes(site)}
        assert served.workers <= shown
        assert served.process.pid in shown

        traffic.cancel()
        await asyncio.gather(traffic, return_exceptions=True)
        served.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await served.process.wait() == 0
        assert await processes(site) == []
        async with site.sql() as conn:
            gone = await conn.fetch("SELECT pid, gone_why FROM shadow.process WHERE pid = ANY($1)", list(shown))
        assert {row["pid"]: row["gone_why"] for row in gone} == dict.fromkeys(shown, "goodbye")
        ledger = served.ledger()
        # A thread that goes on writing while its process ends is refused from the goodbye on.
        assert [error for error in ledger.errors if "has left the fleet" not in error] == []
        async with running(site) as found:  # what the workers left marked is for another process
            found.start()
            await site.quiet()
        records = await site.equal()
    assert ledger.settle(numbers(map(decode, records.values()))) == []
    print(f"{ledger.writes} acknowledged writes by {len(shown)} processes, {len(records)} records, none lost")
