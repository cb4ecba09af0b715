"""The driver's own objects behind a façade's client: what runs on legacy, and what the runtime works with."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.mongo_client import MongoClient


def plain_database(client: Any, name: str) -> Any:
    """The driver's own database; its collections are the driver's own too.

    ``client``: a client of Motor or PyMongo, a façade's or not.
    """
    if isinstance(client, AsyncIOMotorClient):
        return AsyncIOMotorDatabase(client, name)
    return Database(client, name) if isinstance(client, MongoClient) else AsyncDatabase(client, name)
