"""What ``update`` and ``findAndModify`` share: records found by a filter and changed, or made where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson import keys
from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.limits import checked_record
from shadow_adapters.bson.match import is_condition, uses_expression
from shadow_adapters.bson.update import Position, Update, upsert_seed
from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.insert import with_id, write_failure
from shadow_adapters.postgres.query import Document, Query, compile_query, key_of_filter
from shadow_adapters.postgres.statements import insert


@dataclass(frozen=True, slots=True)
class Alteration:
    """A compiled update, and of which records.

    ``variables``: what the filter's expressions may use. ``sort``: the order in which the first record is changed.
    ``collation``: how the filter and the order compare texts.
    Raises `CommandFailure` 224 for an upsert by an expression, which says of no field what it is.
    """

    filter: Mapping[str, Any]
    change: Update
    variables: Mapping[str, Any]
    sort: Mapping[str, Any]
    upsert: bool
    collation: Collation = SIMPLE

    def __post_init__(self) -> None:
        if self.upsert and uses_expression(self.filter):
            raise CommandFailure(224, "$expr is not allowed in the query predicate for an upsert")

    def query(self, call: Call, *, limit: int) -> Query:
        """The query for the records. Raises `CommandFailure`."""
        gate = call.write_gate()
        return compile_query(
            call,
            gate,
            self.filter,
            sort=self.sort,
            limit=limit,
            variables=self.variables,
            collation=self.collation,
        )

    def edit(self, call: Call, position: Position, last: list[Document]) -> Callable[[Document], Document]:
        """The function from a document to the updated one.

        ``position`` tells by which element of an array a document was found. ``last`` holds those made last, to tell
        what was refused.
        """

        def edit(before: Document) -> Document:
            after = self.change.apply(before, inserting=False, now=call.now, position=position)
            last[:] = [after]
            return after

        return edit

    async def insert(self, call: Call) -> Document | None:
        """Insert what an upsert makes; None where somebody inserted that key meanwhile, so that it is to be updated.

        Raises `CommandFailure`, 11000 for a unique index among it.
        """
        seed = upsert_seed(self.filter)
        created = with_id(self.change.apply(seed, inserting=True, now=call.now))
        key, record = keys.key_of(created["_id"]), checked_record(created)
        filter = self.filter
        named = len(filter) == 1 and not is_condition(filter.get("_id")) and key_of_filter(filter) is not None
        try:
            inserted = await insert(call, [(key, created, record)], absent=named)
        except Refused as refused:
            raise write_failure(call, refused, created) from None
        return created if inserted else None
