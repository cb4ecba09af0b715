"""The statements of a bulk, and the parts in which they can be bound to records.

A statement that picks its records by a filter must be resolved when all before it are done, so it stands alone.
Statements that name their records need no resolving, and stay together as far as one command can carry them. An
unordered bulk runs in the order in which the driver runs it: inserts, updates, deletes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pymongo.asynchronous.bulk import _AsyncBulk
from pymongo.common import validate_list
from pymongo.errors import InvalidOperation
from pymongo.operations import InsertOne, UpdateMany, UpdateOne

from shadow.ops.base import Bound, Named, Target
from shadow.ops.bulk import INSERT
from shadow.ops.dates import fix_dates
from shadow.ops.driver import Driver
from shadow.ops.insert import give_id
from shadow.ops.targets import may_insert, narrowed, target_of


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its place in the whole bulk, the driver's request, and that in the wire's form.

    ``shown`` is what the driver shows of it in an error.
    """

    place: int
    kind: int
    request: Any
    shown: Any
    wire: dict[str, Any]
    target: Target

    @property
    def only_names(self) -> bool:
        """Whether the filter is the ``_id`` and nothing else."""
        return isinstance(self.target, Named) and self.wire["q"] == {"_id": self.target.id}

    def bind(self, driver: Driver, bound: Bound) -> Statement:
        """The same statement, narrowed to the records found."""
        if isinstance(self.target, Named):
            return self
        request = copy.copy(self.request)
        request._filter = narrowed(request._filter, self.target, bound)
        wire = {**self.wire, "q": driver.wire(request._filter)}
        if self.wire.get("upsert"):
            request._upsert = wire["upsert"] = may_insert(True, self.target, bound)
        return replace(self, request=request, wire=wire)


def statements_of(driver: Driver, requests: Any, ordered: bool, let: Any) -> list[Statement]:
    """The requests of a ``bulk_write`` as statements, in the order in which they run.

    Documents to insert get their ``_id`` here. Raises the driver's own `TypeError`, `ValueError` and
    `pymongo.errors.InvalidOperation`.
    """
    validate_list("requests", requests)
    fixed = [_fixed(request) for request in requests]
    bulk = _AsyncBulk(driver.core, ordered, None, let=let)
    for request in fixed:
        try:
            request._add_to_bulk(bulk)
        except AttributeError:
            raise TypeError(f"{request!r} is not a valid request") from None
    if not bulk.ops:
        raise InvalidOperation("No operations to execute")
    entries = list(enumerate(zip(requests, fixed, bulk.ops, strict=True)))
    if not ordered:
        entries.sort(key=lambda entry: entry[1][2][0])
    return [_statement(driver, place, *entry, let) for place, entry in entries]


def parts_of(statements: Sequence[Statement]) -> list[list[Statement]]:
    """The statements in parts that can be bound at once, one command each."""

    def part(statement: Statement) -> tuple[int, int]:
        return statement.kind, -1 if isinstance(statement.target, Named) else statement.place

    return [list(part) for _, part in groupby(statements, part)]


def _fixed(request: Any) -> Any:
    if isinstance(request, InsertOne):
        return InsertOne(give_id(request._doc))
    if not isinstance(request, UpdateOne | UpdateMany):
        return request
    same = copy.copy(request)
    same._doc = fix_dates(request._doc)
    return same


def _statement(driver: Driver, place: int, request: Any, fixed: Any, op: tuple[int, Any], let: Any) -> Statement:
    kind, shown = op
    if kind == INSERT:
        wire = driver.wire_document(shown)
        return Statement(place, kind, fixed, shown, wire, Named(wire["_id"]))
    wire = driver.wire(shown)
    if "u" in shown:
        shown = {**shown, "u": request._doc}
    return Statement(place, kind, fixed, shown, wire, target_of(wire, let))
