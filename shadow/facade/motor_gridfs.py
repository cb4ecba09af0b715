"""Motor's GridFS bucket over routers.

Motor runs PyMongo's synchronous bucket in threads. Over a façade's database that is the synchronous façade's, so that
files and chunks go where their collections' routers send them.
"""

from __future__ import annotations

from typing import Any

from gridfs import GridFSBucket
from motor.motor_asyncio import AsyncIOMotorGridFSBucket as DriverBucket

from shadow.facade.gridfs_cursor import put_in_place
from shadow.facade.like import like
from shadow.facade.motor_database import AsyncIOMotorDatabase
from shadow.facade.plain import options_of
from shadow.facade.sync_database import Database

put_in_place()


class AsyncIOMotorGridFSBucket(DriverBucket):
    """`motor.motor_asyncio.AsyncIOMotorGridFSBucket` over routers. Arguments as there."""

    @like(DriverBucket.__init__)
    def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        if isinstance(database, AsyncIOMotorDatabase):
            named: Any = self  # which Motor's stubs leave out
            options = {name: value for name, value in kwargs.items() if name not in _NAMES}
            named.delegate = GridFSBucket(_core(database), named.collection.name, *args[1:4], **options)


_NAMES = ("bucket_name", "collection")
"""Motor's words for the bucket's name."""


def _core(database: AsyncIOMotorDatabase) -> Database[Any]:
    """The synchronous façade's database over Motor's own client."""
    core: Any = database.client.delegate
    if "_shadow_binding" not in vars(core):
        core._shadow_binding = database.client._shadow_binding
    plain: Any = database.delegate
    return Database(core, database.name, **options_of(plain))
