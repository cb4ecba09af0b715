"""``find_one_and_delete``: the ``findAndModify`` command that removes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from shadow.ops.base import Named
from shadow.ops.driver import Driver
from shadow.ops.find_and_modify import FindAndModifyOp
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record


class FindOneAndDeleteOp(FindAndModifyOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one_and_delete`."""

    name: ClassVar[str] = "find_one_and_delete"

    def __init__(
        self,
        driver: Driver,
        filter: Any,
        projection: Any = None,
        sort: Any = None,
        *,
        session: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(driver, filter, {"remove": True}, projection, sort, session=session, options=options)

    async def on_legacy(self) -> Any:
        return await self.call(self.filter, self.projection, self.sort)

    def whole(self) -> Mapping[Key, Record | None] | None:
        """Nothing remains of a record that was named."""
        target = self.targets()[0]
        return {key_of(target.id): None} if isinstance(target, Named) else None
