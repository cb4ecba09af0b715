"""``find_one_and_update``: the ``findAndModify`` command with an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pymongo.common import validate_list_or_none, validate_ok_for_update

from shadow.ops.dates import fix_dates
from shadow.ops.find_and_modify import FindOneAndChangeOp


class FindOneAndUpdateOp(FindOneAndChangeOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one_and_update`."""

    name: ClassVar[str] = "find_one_and_update"

    def validated(self, change: Any, options: Mapping[str, Any]) -> Any:
        validate_ok_for_update(change)
        validate_list_or_none("array_filters", options.get("array_filters"))
        return fix_dates(change)
