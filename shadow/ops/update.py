"""What ``update_one``, ``update_many`` and ``replace_one`` share: one statement of an ``update`` command."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from pymongo.collation import validate_collation_or_none
from pymongo.common import validate_is_mapping
from pymongo.errors import ConfigurationError
from pymongo.helpers_shared import _index_document
from pymongo.results import UpdateResult
from pymongo.write_concern import validate_boolean

from shadow.ops.base import Bound, Command, Reply, Target
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.replies import checked_write, raw_update
from shadow.ops.targets import may_insert, narrowed, plain_id, target_of


def statement_options(options: Mapping[str, Any], acknowledged: bool) -> dict[str, Any]:
    """The fields of a statement that come from optional arguments, validated as the driver does."""
    fields: dict[str, Any] = {}
    collation = validate_collation_or_none(options.get("collation"))
    if collation is not None:
        fields["collation"] = collation
    if "array_filters" in options:
        fields["arrayFilters"] = options["array_filters"]
    if fields and not acknowledged:
        named = "Collation" if "collation" in fields else "arrayFilters"
        raise ConfigurationError(f"{named} is unsupported for unacknowledged writes.")
    if "hint" in options:
        hint = options["hint"]
        fields["hint"] = hint if isinstance(hint, str) else _index_document(hint)
    if "sort" in options:
        validate_is_mapping("sort", options["sort"])
        fields["sort"] = options["sort"]
    return fields


class UpdateOp(DriverWrite[UpdateResult]):
    """An update by filter. ``change`` is the update or the replacement."""

    multi: ClassVar[bool] = False

    def __init__(
        self, driver: Driver, filter: Any, change: Any, upsert: bool = False, *, session: Any = None, **options: Any
    ) -> None:
        super().__init__(driver, session, options)
        validate_is_mapping("filter", filter)
        self.change = self.validated(change)
        if "let" in options:
            validate_is_mapping("let", options["let"])
        validate_boolean("upsert", upsert)
        self.filter = filter
        self.upsert = upsert
        self.statement_options = statement_options(options, self.acknowledged)

    @abstractmethod
    def validated(self, change: Any) -> Any:
        """The change as it is sent. Raises the driver's own `TypeError` or `ValueError`."""

    @cached_property
    def _statement(self) -> dict[str, Any]:
        statement = {"q": self.filter, "u": self.change, "multi": self.multi, "upsert": self.upsert}
        wire: dict[str, Any] = self.driver.wire({**statement, **self.statement_options})
        return wire

    def command(self) -> Command:
        common = self.wired_common()
        return {"update": self.driver.name, "ordered": True, "updates": [self._statement], **common}

    async def on_legacy(self) -> UpdateResult:
        return await self.call(self.filter, self.change, self.upsert)

    def result(self, reply: Reply) -> UpdateResult:
        if not self.acknowledged:
            return UpdateResult(None, False)
        raw = raw_update(checked_write(reply))
        if "upserted" in raw:
            raw["upserted"] = self.driver.told(raw["upserted"])
        return UpdateResult(raw, True)

    def observed(self, result: UpdateResult) -> Any:
        if not result.acknowledged:
            return None
        upserted = self.driver.wire(result.upserted_id)
        return {"n": result.matched_count, "nModified": result.modified_count, "upserted": upserted}

    def targets(self) -> Sequence[Target]:
        named = None if self.statement_options else plain_id(self.filter)
        return [named or target_of(self._statement, self.options.get("let"))]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        target = self.targets()[0]
        same.filter = narrowed(self.filter, target, bound[0])
        same.upsert = may_insert(self.upsert, target, bound[0])
        same.__dict__.pop("_statement", None)
        return same

    def changed(self, result: UpdateResult) -> bool:
        return not result.acknowledged or bool(result.modified_count) or result.upserted_id is not None

    def missed(self, result: UpdateResult) -> bool:
        return result.acknowledged and not result.matched_count and result.upserted_id is None
