"""PyMongo's asynchronous client, for an application to use in the place of `pymongo`'s own.

``from shadow.pymongo import AsyncMongoClient`` instead of ``from pymongo import AsyncMongoClient`` is the only change.
"""

from __future__ import annotations

from shadow.facade.pymongo_client import AsyncClientSession, AsyncMongoClient
from shadow.facade.pymongo_collection import AsyncCollection
from shadow.facade.pymongo_cursor import AsyncCursor, AsyncRawBatchCursor
from shadow.facade.pymongo_database import AsyncDatabase

__all__ = [
    "AsyncClientSession",
    "AsyncCollection",
    "AsyncCursor",
    "AsyncDatabase",
    "AsyncMongoClient",
    "AsyncRawBatchCursor",
]
