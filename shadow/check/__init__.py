"""Holds the configuration against the live stores, and changes nothing."""

from __future__ import annotations

import asyncpg
from pymongo.errors import PyMongoError

from shadow.check.findings import Finding, Level, by_level, error, warning
from shadow.check.legacy import check_legacy
from shadow.check.server import check_server
from shadow.check.tables import check_sample, check_table
from shadow.config import EntitySettings, Settings
from shadow.schema import expanded, own_entities
from shadow.stores import Mongo, Postgres, mongo_client, postgres_connection
from shadow_flags.phases import Phase

__all__ = ["Finding", "Level", "check"]

_POSTGRES_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)


async def check(settings: Settings, *, samples: int = 200) -> list[Finding]:
    """What would go wrong with this configuration, errors first. Nothing is changed.

    Args:
        settings: the configuration.
        samples: how many documents of each collection to try on its table.

    Raises:
        ConfigError: a store is not configured.
    """
    findings = _unserved(settings)
    async with mongo_client(settings) as client:
        try:
            entities = await expanded(settings, client)
            findings += await check_legacy(settings, client, entities)
        except PyMongoError as away:
            findings.append(
                error("stores.mongo", f"cannot be used ({type(away).__name__})", "start it, or correct the URI")
            )
            return by_level(findings + await _new(settings, None, own_entities(settings), 0))
        return by_level(findings + await _new(settings, client, entities, samples))


def _unserved(settings: Settings) -> list[Finding]:
    findings = []
    for name, entity in settings.entities.items():
        if entity.legacy.redis:
            findings.append(error(f"entities.{name}", "keyspaces are not served by this version", "leave it out"))
        if settings.flags.source == "unleash" and entity.phase is not Phase.LEGACY:
            findings.append(warning(f"entities.{name}.phase", "is ignored: flags.source is unleash", "remove it"))
    return findings


async def _new(settings: Settings, client: Mongo | None, entities: list[EntitySettings], samples: int) -> list[Finding]:
    """Everything about PostgreSQL; without a legacy store there is nothing to try on it."""
    try:
        conn = await postgres_connection(settings, "check")
    except _POSTGRES_AWAY as away:
        return [error("stores.postgres", f"cannot be used ({type(away).__name__})", "start it, or correct the DSN")]
    try:
        findings = await check_server(settings, conn)
        for entity in entities:
            findings += await _entity(conn, client, entity, samples)
        return findings
    finally:
        await conn.close()


async def _entity(conn: Postgres, client: Mongo | None, entity: EntitySettings, samples: int) -> list[Finding]:
    findings = await check_table(conn, entity)
    if client is None or not samples or any(finding.level is Level.ERROR for finding in findings):
        return findings
    return findings + await check_sample(conn, client, entity, samples)
