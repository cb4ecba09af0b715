"""The PostgreSQL server: version, encoding, control schema, what stands in front of it, and how many connections."""

from __future__ import annotations

import secrets

from shadow.check.findings import Finding, error, note, warning
from shadow.config import Settings
from shadow.stores import Postgres, postgres_connection

OLDEST = 140000
CONTROL_CONNECTIONS = 10
"""Beside the pool of its event loop, a process holds about as many: marks and syncs, its lease, jobs, the conductor."""

_WHERE = "stores.postgres"
_PROBES = 5


async def check_server(settings: Settings, conn: Postgres) -> list[Finding]:
    """Everything about the server itself. Raises asyncpg's errors when it goes away."""
    findings = await _server(conn)
    findings += await _pooler(settings, conn)
    return findings + await _connections(settings, conn)


async def _server(conn: Postgres) -> list[Finding]:
    findings = []
    if int(await conn.fetchval("SHOW server_version_num")) < OLDEST:
        findings.append(error(_WHERE, "PostgreSQL is older than 14", "use 14 or later"))
    if await conn.fetchval("SHOW server_encoding") != "UTF8":
        findings.append(error(_WHERE, "the database's encoding is not UTF8", "make one with ENCODING 'UTF8'"))
    if await conn.fetchval("SELECT pg_is_in_recovery()"):
        findings.append(error(_WHERE, "the server is a standby, which takes no writes", "name the primary"))
    if await conn.fetchval("SELECT to_regclass('shadow.entity')") is None:
        findings.append(error(_WHERE, "the control schema is missing", "run shadow schema"))
    return [*findings, await _vector(conn)]


async def _vector(conn: Postgres) -> Finding:
    row = await conn.fetchrow(
        "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'"
    )
    if row is None:
        return note(_WHERE, "the extension vector is not available", "install pgvector if vectors are to live here")
    state = f"installed ({row[1]})" if row[1] else f"available ({row[0]}), not installed"
    return note(_WHERE, f"the extension vector is {state}")


async def _pooler(settings: Settings, conn: Postgres) -> list[Finding]:
    """Whether a pooler stands in between: it hands out process ids of its own, and in transaction mode it gives one
    client's session to the next."""
    if conn.get_server_pid() == await conn.fetchval("SELECT pg_backend_pid()"):
        return []
    other = await postgres_connection(settings, "check")
    try:
        shared = await _share_a_session(conn, other)
    finally:
        await other.close()
    if not shared:
        return [note(_WHERE, "a pooler in session mode stands in front of PostgreSQL")]
    what = "PgBouncer in transaction mode (or the like) stands in front of PostgreSQL; locks and leases need sessions"
    return [error(_WHERE, what, "connect to PostgreSQL itself, or to a pool with pool_mode = session")]


async def _share_a_session(one: Postgres, other: Postgres) -> bool:
    """Whether a setting that one client made in its session turns up in another's."""
    for _ in range(_PROBES):
        token = secrets.token_hex(8)
        await one.execute(f"SET shadow.probe = '{token}'")
        seen = await other.fetchval("SELECT current_setting('shadow.probe', true)")
        await one.execute("RESET shadow.probe")
        if seen == token:
            return True
    return False


async def _connections(settings: Settings, conn: Postgres) -> list[Finding]:
    allowed = await conn.fetchval(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    )
    used = await conn.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    processes = await _processes(conn)
    each = settings.protocol.pool_size + CONTROL_CONNECTIONS
    what = (
        f"each process may use {each} connections ({processes} run now); the server allows {allowed}, {used} are used"
    )
    if max(processes, 1) * each <= allowed:
        return [note(_WHERE, what)]
    return [warning(_WHERE, what, "lower protocol.pool_size, or raise max_connections")]


async def _processes(conn: Postgres) -> int:
    if await conn.fetchval("SELECT to_regclass('shadow.process')") is None:
        return 0
    return int(await conn.fetchval("SELECT count(*) FROM shadow.process WHERE gone_at IS NULL"))
