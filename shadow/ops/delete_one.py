"""``delete_one``."""

from __future__ import annotations

from typing import ClassVar

from shadow.ops.delete import DeleteOp


class DeleteOneOp(DeleteOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.delete_one`."""

    name: ClassVar[str] = "delete_one"
