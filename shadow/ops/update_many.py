"""``update_many``."""

from __future__ import annotations

from typing import ClassVar

from shadow.ops.update_one import UpdateOneOp


class UpdateManyOp(UpdateOneOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.update_many`."""

    name: ClassVar[str] = "update_many"
    multi: ClassVar[bool] = True
