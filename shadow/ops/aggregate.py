"""``aggregate``: the command of a pipeline that reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from inspect import isawaitable
from typing import Any, ClassVar

from pymongo import common
from pymongo.collation import validate_collation_or_none

from shadow.compare.kinds import Call
from shadow.ops.base import Command
from shadow.ops.cursor import CursorRead
from shadow.ops.driver import Driver
from shadow.ops.pipelines import collections_read, promised
from shadow.ops.targets import fixed_id

_OF_THE_CURSOR = ("batchSize", "maxAwaitTimeMS", "collation")


class AggregateOp(CursorRead):
    """Arguments as in `pymongo.asynchronous.collection.AsyncCollection.aggregate`.

    Attributes:
        batch_size: what the caller asked for; 0 where nothing.
    """

    name: ClassVar[str] = "aggregate"

    def __init__(self, driver: Driver, pipeline: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session)
        self.pipeline = common.validate_list("pipeline", pipeline)
        if options.get("let") is not None:
            common.validate_is_mapping("let", options["let"])
        self.batch_size: int = common.validate_non_negative_integer_or_none("batchSize", options.get("batchSize")) or 0
        self.options = options
        self.others = collections_read(pipeline)

    @cached_property
    def _command(self) -> Command:
        options = {name: value for name, value in self.options.items() if name not in _OF_THE_CURSOR}
        collation = validate_collation_or_none(self.options.get("collation"))
        command = {"aggregate": self.driver.name, "pipeline": self.pipeline, "cursor": {}, **options}
        if collation is not None:
            command["collation"] = collation
        wire: Command = self.driver.wire(command)
        return wire

    def command(self) -> Command:
        return self._command

    async def on_legacy(self) -> list[Any]:
        documents: list[Any] = await (await self.cursor_on_legacy()).to_list(None)
        return documents

    async def cursor_on_legacy(self) -> Any:
        """The driver's own cursor, whose ``to_list`` is to be awaited."""
        found = self.driver.collection.aggregate(self.pipeline, session=self.session, **self.options)
        return await found if isawaitable(found) else found

    def promise(self) -> Call | None:
        """What two stores' answers must agree on; None where they need not agree."""
        call = None if self.others else promised(self._command["pipeline"])
        collation = self._command.get("collation")
        return replace(call, collation=collation) if call and collation else call

    def id(self) -> Any | None:
        first = next(iter(self._command["pipeline"]), None)
        match = first.get("$match") if isinstance(first, Mapping) else None
        return fixed_id(match, self._command.get("collation")) if isinstance(match, Mapping) else None
