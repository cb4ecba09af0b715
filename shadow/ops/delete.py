"""What ``delete_one`` and ``delete_many`` share: one statement of a ``delete`` command."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from pymongo.common import validate_is_document_type, validate_is_mapping
from pymongo.results import DeleteResult

from shadow.ops.base import Bound, Command, Named, Reply, Target
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.replies import checked_write
from shadow.ops.targets import narrowed, plain_id, target_of
from shadow.ops.update import statement_options
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record


class DeleteOp(DriverWrite[DeleteResult]):
    """A delete by filter. ``limit`` is 1 or, for all that match, 0."""

    limit: ClassVar[int] = 1

    def __init__(self, driver: Driver, filter: Any, *, session: Any = None, **options: Any) -> None:
        super().__init__(driver, session, options)
        validate_is_mapping("filter", filter)
        self.filter = filter
        self.statement_options = statement_options(options, self.acknowledged)
        if "let" in options:
            validate_is_document_type("let", options["let"])

    @cached_property
    def _statement(self) -> dict[str, Any]:
        wire: dict[str, Any] = self.driver.wire({"q": self.filter, "limit": self.limit, **self.statement_options})
        return wire

    def command(self) -> Command:
        common = self.wired_common()
        return {"delete": self.driver.name, "ordered": True, "deletes": [self._statement], **common}

    async def on_legacy(self) -> DeleteResult:
        return await self.call(self.filter)

    def result(self, reply: Reply) -> DeleteResult:
        return DeleteResult(checked_write(reply) if self.acknowledged else {}, self.acknowledged)

    def observed(self, result: DeleteResult) -> Any:
        return {"n": result.deleted_count} if result.acknowledged else None

    def targets(self) -> Sequence[Target]:
        named = None if self.statement_options else plain_id(self.filter)
        return [named or target_of(self._statement, self.options.get("let"))]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        same.filter = narrowed(self.filter, self.targets()[0], bound[0])
        same.__dict__.pop("_statement", None)
        return same

    def whole(self) -> Mapping[Key, Record | None] | None:
        """Nothing remains of a record that was named."""
        target = self.targets()[0]
        return {key_of(target.id): None} if isinstance(target, Named) else None

    def changed(self, result: DeleteResult) -> bool:
        return not result.acknowledged or bool(result.deleted_count)

    def missed(self, result: DeleteResult) -> bool:
        return result.acknowledged and not result.deleted_count
