"""``find_one_and_update``: the ``findAndModify`` command with an update."""

from __future__ import annotations

from typing import Any, ClassVar

from pymongo.common import validate_list_or_none, validate_ok_for_update

from shadow.ops.dates import fix_dates
from shadow.ops.driver import Driver
from shadow.ops.find_and_modify import FindAndModifyOp


class FindOneAndUpdateOp(FindAndModifyOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one_and_update`."""

    name: ClassVar[str] = "find_one_and_update"

    def __init__(
        self,
        driver: Driver,
        filter: Any,
        update: Any,
        projection: Any = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = False,
        *,
        session: Any = None,
        **options: Any,
    ) -> None:
        validate_ok_for_update(update)
        validate_list_or_none("array_filters", options.get("array_filters"))
        self.update = fix_dates(update)
        change = {"update": self.update}
        super().__init__(
            driver, filter, change, projection, sort, upsert, return_document, session=session, options=options
        )

    async def on_legacy(self) -> Any:
        positional = (self.projection, self.sort, self.upsert, self.return_document)
        return await self.call(self.filter, self.update, *positional)
