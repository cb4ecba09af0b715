"""``bulk_write``, in parts of one command each."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pymongo.results import BulkWriteResult

from shadow.ops.base import Bound, Command, Reply, Target
from shadow.ops.bulk import DELETE, INSERT, UPDATE, bulk_details
from shadow.ops.driver import Driver, DriverWrite
from shadow.ops.insert import whole_records
from shadow.ops.statements import Statement, parts_of, statements_of
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record

_COMMANDS = {INSERT: ("insert", "documents"), UPDATE: ("update", "updates"), DELETE: ("delete", "deletes")}
_CHANGES = ("nInserted", "nUpserted", "nModified", "nRemoved")


class BulkWriteOp(DriverWrite[BulkWriteResult]):
    """One part of a bulk: statements of one kind that are bound at once. Places in its result count from the part."""

    name: ClassVar[str] = "bulk_write"

    def __init__(
        self, driver: Driver, statements: Sequence[Statement], ordered: bool, session: Any, options: dict[str, Any]
    ) -> None:
        super().__init__(driver, session, options)
        self.statements = statements
        self.ordered = ordered
        self.kind = statements[0].kind

    def command(self) -> Command:
        verb, field = _COMMANDS[self.kind]
        common = self.wired_common()
        if self.kind == INSERT:
            common.pop("let", None)
        wire = [statement.wire for statement in self.statements]
        return {verb: self.driver.name, "ordered": self.ordered, field: wire, **common}

    async def on_legacy(self) -> BulkWriteResult:
        return await self.call([statement.request for statement in self.statements], self.ordered)

    def result(self, reply: Reply) -> BulkWriteResult:
        if not self.acknowledged:
            return BulkWriteResult({}, False)
        details = bulk_details(self.kind, [statement.shown for statement in self.statements], reply)
        details["upserted"] = [{**entry, "_id": self.driver.told(entry["_id"])} for entry in details["upserted"]]
        return BulkWriteResult(details, True)

    def observed(self, result: BulkWriteResult) -> Any:
        if not result.acknowledged:
            return None
        details = result.bulk_api_result
        return {count: details[count] for count in (*_CHANGES, "nMatched")} | {
            "upserted": self.driver.wire(details["upserted"])
        }

    def targets(self) -> Sequence[Target]:
        return [statement.target for statement in self.statements]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        pairs = zip(self.statements, bound, strict=True)
        same.statements = [statement.bind(self.driver, found) for statement, found in pairs]
        return same

    def whole(self) -> Mapping[Key, Record | None] | None:
        if self.kind == INSERT:
            return whole_records([statement.wire for statement in self.statements])
        # A condition beside the name may have spared the record.
        if self.kind == DELETE and all(statement.only_names for statement in self.statements):
            return {key_of(statement.wire["q"]["_id"]): None for statement in self.statements}
        return None

    def changed(self, result: BulkWriteResult) -> bool:
        return not result.acknowledged or any(result.bulk_api_result[count] for count in _CHANGES)

    def missed(self, result: BulkWriteResult) -> bool:
        return result.acknowledged and not any(result.bulk_api_result[count] for count in (*_CHANGES, "nMatched"))


def bulk_parts(
    driver: Driver, requests: Any, ordered: bool = True, *, session: Any = None, **options: Any
) -> list[BulkWriteOp]:
    """The parts of a ``bulk_write``, to be run one after the other.

    Arguments as in `pymongo.asynchronous.collection.AsyncCollection.bulk_write`.
    """
    statements = statements_of(driver, requests, ordered, options.get("let"))
    return [BulkWriteOp(driver, part, ordered, session, options) for part in parts_of(statements)]
