"""``find_one_and_replace``: the ``findAndModify`` command with a whole document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pymongo.common import validate_ok_for_replace

from shadow.ops.find_and_modify import FindOneAndChangeOp


class FindOneAndReplaceOp(FindOneAndChangeOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.find_one_and_replace`."""

    name: ClassVar[str] = "find_one_and_replace"

    def validated(self, change: Any, options: Mapping[str, Any]) -> Any:
        validate_ok_for_replace(change)
        return change
