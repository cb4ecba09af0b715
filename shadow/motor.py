"""Motor's client, for an application to use in the place of `motor.motor_asyncio`'s own.

``from shadow.motor import AsyncIOMotorClient`` instead of ``from motor.motor_asyncio import AsyncIOMotorClient`` is the
only change.
"""

from __future__ import annotations

from shadow.facade.motor_client import AsyncIOMotorClient, AsyncIOMotorClientSession
from shadow.facade.motor_collection import AsyncIOMotorCollection
from shadow.facade.motor_cursor import AsyncIOMotorChangeStream, AsyncIOMotorCursor
from shadow.facade.motor_database import AsyncIOMotorDatabase
from shadow.facade.motor_gridfs import AsyncIOMotorGridFSBucket

__all__ = [
    "AsyncIOMotorChangeStream",
    "AsyncIOMotorClient",
    "AsyncIOMotorClientSession",
    "AsyncIOMotorCollection",
    "AsyncIOMotorCursor",
    "AsyncIOMotorDatabase",
    "AsyncIOMotorGridFSBucket",
]
