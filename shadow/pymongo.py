"""PyMongo's clients, for an application to use in the place of `pymongo`'s own.

``from shadow.pymongo import AsyncMongoClient`` instead of ``from pymongo import AsyncMongoClient`` is the only change;
``MongoClient`` likewise.
"""

from __future__ import annotations

from shadow.facade.gridfs_cursor import put_in_place
from shadow.facade.pymongo_client import AsyncClientSession, AsyncMongoClient
from shadow.facade.pymongo_collection import AsyncCollection
from shadow.facade.pymongo_cursor import AsyncCursor, AsyncRawBatchCursor
from shadow.facade.pymongo_database import AsyncDatabase
from shadow.facade.sync_client import ClientSession, MongoClient
from shadow.facade.sync_collection import Collection
from shadow.facade.sync_cursor import Cursor, RawBatchCursor
from shadow.facade.sync_database import Database

__all__ = [
    "AsyncClientSession",
    "AsyncCollection",
    "AsyncCursor",
    "AsyncDatabase",
    "AsyncMongoClient",
    "AsyncRawBatchCursor",
    "ClientSession",
    "Collection",
    "Cursor",
    "Database",
    "MongoClient",
    "RawBatchCursor",
]

put_in_place()
