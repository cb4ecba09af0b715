"""Servers, and a configuration that covers every collection, for one run of a file.

The collections that the file will use are settled in the wanted phase before its process joins: nothing of how calls
are served depends on how an entity came to its phase. Others that appear begin in ``legacy``, as they always do.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from shadow.config import load
from shadow.embedded import PostgresServer
from shadow.schema import apply

BARE = "bare"
"""What stands in a phase's place for the driver alone."""

_CONFIG = """
[stores]
mongo = "{mongo}"
postgres = "{postgres}"

[protocol]                 # short, because everything here is on one machine
settle_seconds = 1.0
renew_seconds = 0.2
lease_seconds = 4.0
mark_budget_ms = 2000      # so that a collection which appears is in its phase from its first call on
journal = "{folder}/journals"

[gates]
waived = ["clients", "mismatches", "latency", "errors"]  # no breaker: the stand-in differs, and the phase is to stay

[entities.all]
legacy = {{ mongo = "*" }}
new    = {{ layout = "documents" }}
phase  = "{phase}"
"""


class Postgres:
    """A database of a run's own."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    async def settle(self, config: Path, phase: str, entities: Iterable[str]) -> None:
        """Make the control schema, and these entities in the phase, with their tables."""
        conn = await asyncpg.connect(self.dsn)
        try:
            await apply(load(config), conn)
            for entity in entities:
                await conn.execute(_SETTLED, entity, phase)
                await conn.execute("SELECT shadow.admit($1)", entity)
        finally:
            await conn.close()

    async def entities(self) -> tuple[str, ...]:
        """The entities that appeared."""
        conn = await asyncpg.connect(self.dsn)
        try:
            return tuple(row[0] for row in await conn.fetch("SELECT entity FROM shadow.entity ORDER BY entity"))
        finally:
            await conn.close()


_SETTLED = """
INSERT INTO shadow.entity (entity, phase, backfill, dual_since)
VALUES ($1, $2, CASE WHEN $2 IN ('legacy', 'new') THEN 'none' ELSE 'done' END, now())"""


@contextmanager
def database(server: PostgresServer) -> Iterator[Postgres]:
    """A fresh database, dropped in the end where that is possible: the server goes too."""
    name = f"drivers_{uuid.uuid4().hex[:12]}"
    asyncio.run(_administer(server, f"CREATE DATABASE {name}"))
    yield Postgres(server.dsn_for(name))
    with suppress(asyncpg.ObjectInUseError):  # what was killed may take longer to end than PostgreSQL waits
        asyncio.run(_administer(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _administer(server: PostgresServer, statement: str) -> None:
    conn = await asyncpg.connect(server.dsn)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


def configure(folder: Path, mongo: str, postgres: str, phase: str) -> Path:
    """Write the configuration; returns its path."""
    path = folder / "shadow.toml"
    path.write_text(_CONFIG.format(mongo=mongo, postgres=postgres, folder=folder, phase=phase), "utf-8")
    return path
