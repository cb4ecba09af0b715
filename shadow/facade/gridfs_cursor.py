"""GridFS's cursors over routers.

A bucket works with the collections of the database that it is given, a façade's too. But its ``find`` makes a cursor of
the driver's own, which would ask legacy past the router; so the driver's modules make these instead. Over a collection
of the driver's own they are the driver's.
"""

from __future__ import annotations

from typing import Any

import gridfs.asynchronous.grid_file
import gridfs.synchronous.grid_file
from gridfs import AsyncGridOutCursor as DriverAsyncGridOutCursor
from gridfs import GridOutCursor as DriverGridOutCursor

from shadow.facade.pymongo_cursor import AsyncCursor
from shadow.facade.sync_cursor import Cursor


class AsyncGridOutCursor(DriverAsyncGridOutCursor, AsyncCursor[Any]):
    """`gridfs.AsyncGridOutCursor` over a router."""

    async def _refresh(self) -> int:
        self._direct = self._direct or not _is_facades(self._collection)
        return await AsyncCursor._refresh(self)


class GridOutCursor(DriverGridOutCursor, Cursor[Any]):
    """`gridfs.GridOutCursor` over a router."""

    def _refresh(self) -> int:
        self._direct = self._direct or not _is_facades(self._collection)
        return Cursor._refresh(self)


def _is_facades(collection: Any) -> bool:
    return "_seat" in vars(collection)


def put_in_place() -> None:
    """Let buckets make these cursors."""
    gridfs.asynchronous.grid_file.AsyncGridOutCursor = AsyncGridOutCursor  # type: ignore[misc]
    gridfs.synchronous.grid_file.GridOutCursor = GridOutCursor  # type: ignore[misc]
