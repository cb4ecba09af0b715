"""``delete_many``."""

from __future__ import annotations

from typing import ClassVar

from shadow.ops.delete import DeleteOp


class DeleteManyOp(DeleteOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.delete_many`."""

    name: ClassVar[str] = "delete_many"
    limit: ClassVar[int] = 0
