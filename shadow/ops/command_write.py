"""Commands that write a collection, as the caller wrote them, in the parts in which they can be bound to records."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

from bson.objectid import ObjectId

from shadow.ops.base import Bound, Command, Named, Reply, Target
from shadow.ops.command import Called
from shadow.ops.dates import fix_dates
from shadow.ops.driver import DriverWrite
from shadow.ops.targets import may_insert, narrowed, target_of

LISTS: Final = {"insert": "documents", "update": "updates", "delete": "deletes"}
"""The field of each command that holds its statements."""


class WriteCommandOp(DriverWrite[Any]):
    """What they have in common: the reply is the driver's, told in the wire's form where it is looked at.

    A reply may tell of errors and raise none, so nothing is known of the records (`whole`) before they are read.
    """

    def __init__(self, called: Called) -> None:
        super().__init__(called.driver, called.session, {})
        self.name = called.name  # type: ignore[misc]  # each command has its own
        self._called = called
        concern = called.document.get("writeConcern")
        self.acknowledged = not isinstance(concern, Mapping) or concern.get("w") != 0 or self.unit is not None

    async def on_legacy(self) -> Any:
        return await self._called.on_legacy(self.command())

    def result(self, reply: Reply) -> Any:
        return self._called.told(reply)

    def changed(self, result: Any) -> bool:
        if not self.acknowledged:
            return True
        reply = self._called.wire(result)
        return _failed(reply) or self._changed(reply)

    def missed(self, result: Any) -> bool:
        if not self.acknowledged:
            return False
        reply = self._called.wire(result)
        return not _failed(reply) and not _touched(reply)

    def observed(self, result: Any) -> Any:
        reply = self._called.wire(result)
        errors = [(error.get("index"), error.get("code")) for error in reply.get("writeErrors", ())]
        return {field: reply[field] for field in _COMPARED if field in reply} | {"errors": errors}

    @abstractmethod
    def _changed(self, reply: Reply) -> bool:
        """Whether the reply of a command that did not fail says that anything was changed."""


_COMPARED = ("n", "nModified", "upserted", "value")


def _failed(reply: Reply) -> bool:
    """Whether a part of the command failed, and nobody knows how much of it was done."""
    return not reply.get("ok") or bool(reply.get("writeErrors")) or bool(reply.get("writeConcernError"))


def _touched(reply: Reply) -> bool:
    counts = reply.get("lastErrorObject") or reply
    return bool(counts.get("n"))


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a command: its place, its wire form, and the record that it touches."""

    place: int
    wire: dict[str, Any]
    target: Target

    def bind(self, bound: Bound) -> Part:
        """The same statement, narrowed to the records found."""
        if isinstance(self.target, Named):
            return self
        wire = {**self.wire, "q": narrowed(self.wire["q"], self.target, bound)}
        if wire.get("upsert"):
            wire["upsert"] = may_insert(True, self.target, bound)
        return replace(self, wire=wire)


class StatementsOp(WriteCommandOp):
    """``insert``, ``update`` or ``delete``, or a part of one; places in its reply count from the part."""

    def __init__(self, called: Called, parts: Sequence[Part]) -> None:
        super().__init__(called)
        self.parts = parts

    def command(self) -> Command:
        return {**self._called.document, LISTS[self.name]: [part.wire for part in self.parts]}

    def targets(self) -> Sequence[Target]:
        return [part.target for part in self.parts]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        same.parts = [part.bind(found) for part, found in zip(self.parts, bound, strict=True)]
        return same

    def _changed(self, reply: Reply) -> bool:
        return bool(reply.get("nModified") or reply.get("upserted") if self.name == "update" else reply.get("n"))


def statements_of(called: Called) -> list[StatementsOp]:
    """The command in parts, to be run one after the other.

    A statement that picks its records by a filter stands alone, since it is resolved when all before it are done.
    Documents to insert get their ``_id`` here. Raises `ValueError` for a command that MongoDB refuses as a whole.
    """
    wires = called.document.get(LISTS[called.name])
    if not isinstance(wires, list) or not wires or not all(isinstance(wire, Mapping) for wire in wires):
        raise ValueError(f"{called.name} without statements")
    parts = [_part(called, place, dict(wire)) for place, wire in enumerate(wires)]
    groups: list[list[Part]] = []
    for part in parts:
        alone = not isinstance(part.target, Named)
        if alone or not groups or not isinstance(groups[-1][-1].target, Named):
            groups.append([])
        groups[-1].append(part)
    return [StatementsOp(called, group) for group in groups]


def _part(called: Called, place: int, wire: dict[str, Any]) -> Part:
    if called.name == "insert":
        if "_id" not in wire:
            wire = {"_id": ObjectId(), **wire}
        return Part(place, wire, Named(wire["_id"]))
    if not isinstance(wire.get("q"), Mapping) or (called.name == "update" and "u" not in wire):
        raise ValueError(f"{called.name} without a filter or a change")
    if "u" in wire:
        wire["u"] = called.driver.wire(fix_dates(wire["u"]))
    return Part(place, wire, target_of(wire, called.document.get("let")))


class FindAndModifyCommandOp(WriteCommandOp):
    """``findAndModify``. Raises `ValueError` for a command that MongoDB refuses as a whole."""

    fields: ClassVar[tuple[str, ...]] = ("sort", "collation", "hint", "upsert")

    def __init__(self, called: Called) -> None:
        super().__init__(called)
        document = called.document
        query = document.get("query") or {}
        if not isinstance(query, Mapping) or ("update" in document) == bool(document.get("remove")):
            raise ValueError("findAndModify without a change")
        update = {"update": called.driver.wire(fix_dates(document["update"]))} if "update" in document else {}
        self._document = {**document, "query": query, **update}

    def command(self) -> Command:
        return self._document

    def targets(self) -> Sequence[Target]:
        document = self._document
        statement = {field: document[field] for field in self.fields if field in document}
        statement |= {"q": document["query"], "u": document.get("update")}
        return [target_of(statement, document.get("let"))]

    def bind(self, bound: Sequence[Bound]) -> Self:
        same = copy.copy(self)
        target = self.targets()[0]
        same._document = {**self._document, "query": narrowed(self._document["query"], target, bound[0])}
        if same._document.get("upsert"):
            same._document["upsert"] = may_insert(True, target, bound[0])
        return same

    def _changed(self, reply: Reply) -> bool:
        return _touched(reply)


def add_reply(whole: Reply, parts: Sequence[Part], reply: Reply) -> Reply:
    """The reply of a command of which a further part has replied; both in the wire's form."""
    added = {**whole, **reply, "n": whole.get("n", 0) + reply.get("n", 0)}
    if "nModified" in reply:
        added["nModified"] = whole.get("nModified", 0) + reply["nModified"]
    for field in ("upserted", "writeErrors"):
        listed = [{**entry, "index": parts[entry["index"]].place} for entry in reply.get(field, ())]
        if listed or field in whole:
            added[field] = [*whole.get(field, ()), *listed]
    return added
