"""``replace_one``: an update whose change is the whole record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId
from pymongo.common import validate_ok_for_replace

from shadow.ops.base import Named
from shadow.ops.insert import whole_records
from shadow.ops.update import UpdateOp
from shadow_adapters.contract import Key, Record

_ONE_FORM = (ObjectId, str, Binary, DatetimeMS, bool)


class ReplaceOneOp(UpdateOp):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.replace_one`."""

    name: ClassVar[str] = "replace_one"

    def validated(self, change: Any) -> Any:
        validate_ok_for_replace(change)
        return change

    def whole(self) -> Mapping[Key, Record | None] | None:
        """The replacement, where the filter names the record by an ``_id`` that has one form only.

        A record keeps its ``_id``: asked for as 1.0, it may be stored as 1.
        """
        target = self.targets()[0]
        if not isinstance(target, Named) or not isinstance(target.id, _ONE_FORM):
            return None
        replacement = {field: value for field, value in self._statement["u"].items() if field != "_id"}
        return whole_records([{"_id": target.id, **replacement}])
