"""``count_documents``: the aggregation that the driver sends for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from pymongo.collation import validate_collation_or_none
from pymongo.helpers_shared import _index_document

from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver, DriverRead
from shadow.ops.replies import checked
from shadow.ops.targets import fixed_id

_NO_SUCH_COLLECTION = 26


class CountDocumentsOp(DriverRead[int]):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.count_documents`."""

    name: ClassVar[str] = "count_documents"

    def __init__(self, driver: Driver, filter: Any, *, session: Any = None, **kwargs: Any) -> None:
        super().__init__(driver, session)
        self.filter = filter
        self.kwargs = kwargs

    @cached_property
    def _command(self) -> Command:
        options = dict(self.kwargs)
        pipeline: list[dict[str, Any]] = [{"$match": self.filter}]
        pipeline += [{f"${stage}": options.pop(stage)} for stage in ("skip", "limit") if stage in options]
        pipeline.append({"$group": {"_id": 1, "n": {"$sum": 1}}})
        if "hint" in options and not isinstance(options["hint"], str):
            options["hint"] = _index_document(options["hint"])
        collation = validate_collation_or_none(options.pop("collation", None))
        command = {"aggregate": self.driver.name, "pipeline": pipeline, "cursor": {}, **options}
        if collation is not None:
            command["collation"] = collation
        wire: Command = self.driver.wire(command)
        return wire

    def command(self) -> Command:
        return self._command

    async def on_legacy(self) -> int:
        count: int = await self.driver.collection.count_documents(self.filter, session=self.session, **self.kwargs)
        return count

    def result(self, reply: Reply) -> int:
        if reply.get("code") == _NO_SUCH_COLLECTION:
            return 0
        batch = checked(reply)["cursor"]["firstBatch"]
        return int(batch[0]["n"]) if batch else 0

    def id(self) -> Any | None:
        if "skip" in self.kwargs or "limit" in self.kwargs:
            return None
        match = self._command["pipeline"][0]["$match"]
        return fixed_id(match, self._command.get("collation")) if isinstance(match, dict) else None
