"""The demo's application, which knows nothing of Shadow, under ``shadow run`` with a pattern for all of its service."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shadow.config import load
from shadow.embedded import MongoServer
from shadow.schema import apply
from shadow.status import Status, status
from tests.journeys.runtime_support import ROOT, until

NAMES = {"all.orchestra.sessions", "all.orchestra.workflows"}

CONFIG = """
[stores]
mongo = "{mongo}"
postgres = "{postgres}"
[protocol]
settle_seconds = 1.0
renew_seconds = 0.3
lease_seconds = 2.0
journal = "{folder}/journals"
[gates]
waived = ["clients"]
mismatch_rate = 0.5
rehearsal_rate = 0.5
p99_ratio = 100
[entities.all]
legacy = {{ mongo = "*" }}
new    = {{ layout = "documents" }}
phase  = "{phase}"
"""


class Service:
    """The configuration of a whole service, and what can be seen of it."""

    def __init__(self, folder: Path, mongo: str, runtime: str) -> None:
        self.path = folder / "shadow.toml"
        self.mongo = mongo
        self.runtime = runtime

    def want(self, phase: str) -> None:
        text = CONFIG.format(mongo=self.mongo, postgres=self.runtime, folder=self.path.parent, phase=phase)
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    async def status(self) -> Status:
        return await status(load(self.path))

    async def moved_to(self, phase: str) -> None:
        """Want a phase, and wait until every collection of the service is there."""
        self.want(phase)

        async def there() -> bool:
            found = {each.entity: each.phase for each in (await self.status()).entities}
            return set(found) >= NAMES and all(found[name] == phase for name in NAMES)

        await until(there, phase)


@pytest.fixture
async def service(tmp_path: Path, own_mongo: MongoServer, postgres_dsn: str) -> AsyncIterator[Service]:
    """A service whose role may use the control schema, and may make no table."""
    role = f"runtime_{uuid.uuid4().hex[:8]}"
    owner = await asyncpg.connect(postgres_dsn)
    parts = urlsplit(postgres_dsn)
    host = parts.netloc.rpartition("@")[2]
    made = Service(tmp_path, own_mongo.uri, urlunsplit(parts._replace(netloc=f"{role}:secret@{host}")))
    made.runtime = postgres_dsn
    made.want("legacy")
    await apply(load(made.path), owner)
    made.runtime = "${SERVICE_DSN}"
    made.want("legacy")
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    await owner.execute(f"GRANT USAGE ON SCHEMA shadow TO {role}")
    await owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shadow TO {role}")
    await owner.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA shadow TO {role}")
    os.environ["SERVICE_DSN"] = urlunsplit(parts._replace(netloc=f"{role}:secret@{host}"))
    try:
        yield made
    finally:
        del os.environ["SERVICE_DSN"]
        await owner.execute(f"DROP OWNED BY {role}")
        await owner.execute(f"DROP ROLE {role}")
        await owner.close()


@pytest.mark.timeout(300)
async def test_an_unchanged_application_is_routed(service: Service, postgres_dsn: str) -> None:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "adapters", ROOT / "flags")))
    application = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shadow", "run", "--config", str(service.path), "--"),
        *(sys.executable, "-m", "shadow.demo.application", service.mongo, "orchestra", "600"),
        env={**os.environ, "PYTHONPATH": paths},
        stderr=asyncio.subprocess.PIPE,
    )
    assert application.stderr is not None
    try:
        await service.moved_to("legacy")
        for phase in ("dual_write", "read_new"):
            await service.moved_to(phase)
            assert application.returncode is None, (await application.stderr.read()).decode()
        assert [each.command for each in (await service.status()).processes] == ["application.py"]
    finally:
        if application.returncode is None:
            application.terminate()
        told = (await application.communicate())[1].decode()
    assert "missed a write" not in told and "Traceback" not in told, told
    conn = await asyncpg.connect(postgres_dsn)
    tables = await conn.fetch("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'shadow_documents'")
    await conn.close()
    assert {row[0].rpartition("_")[0] for row in tables} >= {"all_orchestra_sessions", "all_orchestra_workflows"}
