"""What the tests of a whole runtime share: a configured collection on real servers, and what can be seen of it.

Everything is seen past Shadow: MongoDB by a bare driver, PostgreSQL by a connection of its own that no fault touches.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect

from shadow import runtime
from shadow.config import Settings, load
from shadow.protocol.journal import authors, left_behind
from shadow.runtime import Runtime
from shadow.schema import apply, layout_of
from shadow_adapters.bson.codec import decode
from shadow_adapters.contract import Key, Record
from shadow_adapters.mongo.store import MongoStore
from shadow_adapters.postgres.pool import create_pool
from shadow_adapters.postgres.records import PostgresRecords

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ENTITY = "things"
PATIENCE = 120.0
"""Seconds after which something that must happen counts as never happening."""

AGENTS_DDL = """
CREATE SCHEMA orchestra;
CREATE TABLE orchestra.agents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL,
    description TEXT,
    capabilities JSONB,
    autonomy_level INTEGER,
    model_config JSONB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_agents_name ON orchestra.agents(name);
"""

_TABLE = """
new = { postgres = "orchestra.agents", layout = "table", id = "id" }
columns = { name = "name", description = "description", capabilities = "capabilities", \
autonomy_level = "autonomy_level", model_config = "model_config", created_at = "created_at", updated_at = "updated_at" }
"""


@dataclass
class Site:
    """One collection, its two stores, and the configuration of the processes that use it.

    Attributes:
        folder: holds the configuration and the journals.
        mongo: URI whose default database holds the collection.
        postgres: as the processes reach it; ``direct`` is how the test does.
        table: the collection goes to ``orchestra.agents``; else to the layout ``documents``.
        protocol: settings beside those below.
        on_lapse: what the processes do while they cannot renew their lease.
        error_rate: of calls that new does not answer, above which the breaker trips.
        waived: gates that may not block; the tests' own driver is a client that is not Shadow's.
    """

    folder: Path
    mongo: str
    postgres: str
    direct: str
    table: bool = False
    protocol: Mapping[str, object] = field(default_factory=dict)
    on_lapse: str = "serve"
    error_rate: float = 1.0
    waived: list[str] = field(default_factory=lambda: ["clients"])

    @property
    def config(self) -> Path:
        return self.folder / "shadow.toml"

    @property
    def journals(self) -> Path:
        return self.folder / "journals"

    @property
    def database(self) -> str:
        return urlsplit(self.mongo).path.strip("/")

    @property
    def settings(self) -> Settings:
        return load(self.config)

    def want(self, phase: str) -> None:
        """Say in the configuration which phase is wanted."""
        protocol = {
            "settle_seconds": 1.0,
            "renew_seconds": 0.3,
            "lease_seconds": 2.0,
            "sync_timeout_ms": 2000,
            "journal": str(self.journals),
            **self.protocol,
        }
        lines = [f"{name} = {_toml(value)}" for name, value in protocol.items()]
        text = f"""
[stores]
mongo = "{self.mongo}"
postgres = "{self.postgres}"
[protocol]
{chr(10).join(lines)}
[gates]
waived = {_toml(self.waived)}
mismatch_rate = 0.5
rehearsal_rate = 0.5
p99_ratio = 100
error_rate = {self.error_rate}
[entities.{ENTITY}]
legacy = {{ mongo = "{self.database}.{ENTITY}" }}
phase = "{phase}"
on_lapse = "{self.on_lapse}"
{_TABLE if self.table else ""}
"""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    async def prepare(self) -> None:
        """Make the tables, as an operator does before anything else."""
        self.want("legacy")
        async with self.sql() as conn:
            if self.table:
                await conn.execute(AGENTS_DDL)
            await apply(self.settings, conn)

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[Any]:
        """A connection to PostgreSQL past every proxy."""
        conn = await asyncpg.connect(self.direct)
        try:
            yield conn
        finally:
            await conn.close()

    async def phase(self) -> tuple[str, str | None]:
        """The settled phase and the step under way."""
        async with self.sql() as conn:
            row = await conn.fetchrow("SELECT phase, step FROM shadow.entity WHERE entity = $1", ENTITY)
        return ("legacy", None) if row is None else (row["phase"], row["step"])

    async def reached(self, phase: str) -> None:
        """Wait until the fleet has settled in the phase that is wanted."""

        async def there() -> bool:
            return await self.phase() == (phase, None)

        await until(there, f"phase {phase}", self.status)

    async def settled_in(self, phase: str) -> None:
        """Let the collection, which is empty, stand in a phase before any process has joined."""
        async with self.sql() as conn:
            await conn.execute(
                "INSERT INTO shadow.entity (entity, phase, backfill) VALUES ($1, $2, 'done') "
                "ON CONFLICT (entity) DO UPDATE SET phase = excluded.phase, backfill = excluded.backfill",
                ENTITY,
                phase,
            )
        if phase in ("read_new", "write_new", "new"):
            async with AsyncMongoClient[Any](self.mongo) as client:
                await MongoStore(client, self.database, ENTITY, ENTITY).arm()
        self.want(phase)

    async def moved_to(self, phase: str) -> None:
        """Want a phase, and wait for it."""
        self.want(phase)
        await self.reached(phase)

    async def open_marks(self) -> dict[Key | None, str | None]:
        """The keys of open marks, with the reason where they are refused."""
        async with self.sql() as conn:
            rows = await conn.fetch(
                "SELECT key, max(refused) AS refused FROM shadow.mark WHERE entity = $1 AND closed_at IS NULL "
                "GROUP BY key",
                ENTITY,
            )
        return {row["key"]: row["refused"] for row in rows}

    async def debts(self) -> list[str]:
        """The reasons of open debts."""
        async with self.sql() as conn:
            rows = await conn.fetch(
                "SELECT reason FROM shadow.debt WHERE entity IN ($1, '*') AND paid_at IS NULL", ENTITY
            )
        return [row["reason"] for row in rows]

    def journalled(self) -> tuple[set[Key | None], list[str]]:
        """The keys of marks that lie in journals, and the reasons of debts that do."""
        upload, _ = left_behind(self.journals, [author.id for author in authors(self.journals)])
        return {mark.key for mark in upload.marks}, [debt.reason for debt in upload.debts]

    async def quiet(self) -> None:
        """Wait until nothing is owed: no open mark but refused ones, no debt, nothing in a journal."""

        async def nothing() -> bool:
            journalled, debts = self.journalled()  # first: what is in a journal is on its way to control
            marks = [key for key, refused in (await self.open_marks()).items() if refused is None]
            return not (marks or journalled or debts or await self.debts())

        await until(nothing, "quiescence", self.status)

    async def backfilled(self) -> None:
        """Wait until the backfill is complete."""

        async def done() -> bool:
            async with self.sql() as conn:
                state = await conn.fetchval("SELECT backfill FROM shadow.entity WHERE entity = $1", ENTITY)
            return bool(state == "done")

        await until(done, "the end of the backfill", self.status)

    async def stores(self) -> tuple[dict[Key, Record], dict[Key, Record]]:
        """Every record of legacy, and every record of new."""
        pool = await create_pool(self.direct, min_size=0, max_size=1, role="test", asynchronous_commit=False)
        async with AsyncMongoClient(self.mongo) as client:
            legacy = MongoStore(client, self.database, ENTITY, ENTITY)
            new = PostgresRecords(pool, layout_of(self.settings.entities[ENTITY]))
            found = await _all(legacy), await _all(new)
        await pool.close()
        return found

    async def equal(self) -> dict[Key, Record]:
        """Both stores hold the same records, to the byte; returns them."""
        legacy, new = await self.stores()
        differing = [key for key in legacy.keys() | new.keys() if legacy.get(key) != new.get(key)]
        assert not differing, await self._history(differing, legacy, new)
        return legacy

    async def _history(self, keys: list[Key], legacy: Mapping[Key, Record], new: Mapping[Key, Record]) -> str:
        """What control knows of keys that differ."""
        lines = [f"{len(keys)} keys differ"]
        async with self.sql() as conn:
            for key in keys[:5]:
                rows = await conn.fetch("SELECT * FROM shadow.mark WHERE key = $1 ORDER BY opened_at", key)
                sides = [None if key not in store else decode(store[key]) for store in (legacy, new)]
                lines += [f"legacy {sides[0]}", f"new    {sides[1]}", *map(str, rows)]
            lines += [str(row) for row in await conn.fetch("SELECT at, phase, step, stage, evidence FROM shadow.audit")]
        return "\n".join(lines)

    async def status(self) -> str:
        """What to show where something did not happen."""
        async with self.sql() as conn:
            entity = await conn.fetchrow("SELECT * FROM shadow.entity WHERE entity = $1", ENTITY)
            marks = await conn.fetch("SELECT * FROM shadow.mark WHERE closed_at IS NULL LIMIT 3")
            processes = await conn.fetch("SELECT * FROM shadow.process WHERE gone_at IS NULL")
        return f"{entity}\n{marks}\n{processes}\n{await self.debts()}\n{self.journalled()}\n{await self.told('status')}"

    async def told(self, *words: str) -> str:
        """What a ``shadow`` command prints, while this process goes on."""
        return await asyncio.to_thread(self.command, *words)

    def command(self, *words: str) -> str:
        """What a ``shadow`` command prints, errors included."""
        done = subprocess.run(
            [sys.executable, "-c", "from shadow.cli import main; main()", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=self.folder,
            check=False,
        )
        return done.stdout + done.stderr


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[Runtime]:
    """Shadow in this process, for one test."""
    found = runtime.install(site.settings)
    try:
        yield found
    finally:
        await asyncio.to_thread(runtime.uninstall)


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, told: Callable[[], Awaitable[str]] | None = None
) -> None:
    """Wait for something that must happen; fails, with what ``told`` says, only if it never does."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + PATIENCE
    while not await condition():
        if loop.time() > limit:
            said = await told() if told is not None else _threads()
            raise AssertionError(f"{what} never came\n{said}")
        await asyncio.sleep(0.05)


async def answered(call: Callable[[], Awaitable[Any]]) -> None:
    """Make a call until it is answered: a process that does not know the phase yet refuses it where legacy is armed."""

    async def once() -> bool:
        try:
            await call()
        except AutoReconnect:
            return False
        return True

    await until(once, "the first answer")


def _threads() -> str:
    """What the threads of this process are doing."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()


def environment() -> dict[str, str]:
    """The environment of a subprocess that imports what this process imports."""
    paths = [str(ROOT), str(ROOT / "adapters"), str(ROOT / "flags"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"}


async def _all(store: Any) -> dict[Key, Record]:
    found: dict[Key, Record] = {}
    after: Key | None = None
    while page := await store.scan(after, 1000):
        found.update(page)
        after = page[-1][0]
    return found


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
