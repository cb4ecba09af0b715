"""``update_one``."""

from __future__ import annotations

from typing import Any, ClassVar

from pymongo.common import validate_list_or_none, validate_ok_for_update

from shadow.ops.dates import fix_dates
from shadow.ops.update import UpdateOp


class UpdateOneOp(UpdateOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.update_one`."""

    name: ClassVar[str] = "update_one"

    def validated(self, change: Any) -> Any:
        validate_ok_for_update(change)
        validate_list_or_none("array_filters", self.options.get("array_filters"))
        return fix_dates(change)
