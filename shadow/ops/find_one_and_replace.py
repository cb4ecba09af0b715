"""``find_one_and_replace``: the ``findAndModify`` command with a whole document."""

from __future__ import annotations

from typing import Any, ClassVar

from pymongo.common import validate_ok_for_replace

from shadow.ops.driver import Driver
from shadow.ops.find_and_modify import FindAndModifyOp


class FindOneAndReplaceOp(FindAndModifyOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one_and_replace`."""

    name: ClassVar[str] = "find_one_and_replace"

    def __init__(
        self,
        driver: Driver,
        filter: Any,
        replacement: Any,
        projection: Any = None,
        sort: Any = None,
        upsert: bool = False,
        return_document: bool = False,
        *,
        session: Any = None,
        **options: Any,
    ) -> None:
        validate_ok_for_replace(replacement)
        self.replacement = replacement
        change = {"update": replacement}
        super().__init__(
            driver, filter, change, projection, sort, upsert, return_document, session=session, options=options
        )

    async def on_legacy(self) -> Any:
        positional = (self.projection, self.sort, self.upsert, self.return_document)
        return await self.call(self.filter, self.replacement, *positional)
