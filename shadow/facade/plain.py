"""The driver's own objects behind a façade's client: what runs on legacy, and what the runtime works with."""

from __future__ import annotations

from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.mongo_client import MongoClient

_OPTIONS: Final = ("codec_options", "read_preference", "write_concern", "read_concern")


def plain_database(client: Any, name: str) -> Any:
    """The driver's own database; its collections are the driver's own too.

    ``client``: a client of Motor or PyMongo, a façade's or not.
    """
    if isinstance(client, AsyncIOMotorClient):
        return AsyncIOMotorDatabase(client, name)
    return Database(client, name) if isinstance(client, MongoClient) else AsyncDatabase(client, name)


def options_of(of: Any) -> dict[str, Any]:
    """The options that a database or a collection of PyMongo was made with, as arguments for another one."""
    return {option: getattr(of, option) for option in _OPTIONS}
