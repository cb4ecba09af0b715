"""Connections for the operator's commands. They carry Shadow's name, by which it tells its own from others'."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
import pymongo
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.driver_info import DriverInfo

from shadow import __version__
from shadow.config import ConfigError, Problem, Settings

DRIVER_NAME = "Shadow"
"""What Shadow adds to the driver's name in the handshake with MongoDB; its clients are recognized by it."""

WAIT_SECONDS = 5.0
_GOODBYE_SECONDS = 1.0

Mongo = AsyncMongoClient[dict[str, Any]]
Postgres: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class OwnClient(AsyncMongoClient[dict[str, Any]]):
    """Shadow's own client of the legacy store.

    It works in the applications' contexts too, where a session may be bound that is their client's; PyMongo would
    refuse any other client's calls there.
    """

    def _get_bound_session(self) -> None:
        return None

    async def close(self) -> None:
        """End its sessions and connections. A MongoDB that is away is waited for no longer than a moment, since an
        event loop of the application ends only after this."""
        with pymongo.timeout(_GOODBYE_SECONDS):
            await super().close()


def driver_info() -> DriverInfo:
    """The metadata to hand to a MongoDB driver's client."""
    return DriverInfo(DRIVER_NAME, __version__)


def mongo_client(settings: Settings) -> Mongo:
    """A client of the legacy store. Connects when first used. Raises `ConfigError` where none is configured."""
    uri = _given(settings, settings.stores.mongo, "mongo")
    return OwnClient(uri, driver=driver_info(), serverSelectionTimeoutMS=int(WAIT_SECONDS * 1000))


async def postgres_connection(settings: Settings, role: str) -> Postgres:
    """A connection to PostgreSQL, without prepared statements, so that it works through any pooler.

    Raises `ConfigError` where none is configured, `OSError` or asyncpg's errors where it cannot be had.
    """
    dsn = _given(settings, settings.stores.postgres, "postgres")
    names = {"application_name": f"shadow/{role}"}
    return await asyncpg.connect(dsn, timeout=WAIT_SECONDS, statement_cache_size=0, server_settings=names)


def _given(settings: Settings, secret: SecretStr | None, store: str) -> str:
    if secret is None:
        raise ConfigError(
            str(settings.path or "the configuration"), [Problem(f"stores.{store}", "is missing", "add it")]
        )
    return secret.get_secret_value()
