"""``insert``: all documents in one statement; where that is refused, halves of them, down to the one at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

import asyncpg
from bson.objectid import ObjectId

from shadow_adapters.bson import keys
from shadow_adapters.bson.limits import checked_record
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import CommandFailure, Refused
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import check_fields
from shadow_adapters.postgres.replies import Reply, duplicate_key, invalid, write_error
from shadow_adapters.postgres.statements import insert as insert_rows

_SERVED: Final = frozenset(("insert", "documents", "ordered", "bypassDocumentValidation"))
_REFUSED: Final = frozenset(("encryptionInformation", "bypassEmptyTsReplacement"))


class _Numbered(NamedTuple):
    """A document to be inserted, with its place in the command."""

    place: int
    key: Key
    document: Mapping[str, Any]
    record: Record


async def insert(call: Call, command: Mapping[str, Any]) -> Reply:
    """Insert documents; what is refused is told in ``writeErrors``. Raises `EpochMoved`, `OutcomeUnknown`, ..."""
    check_fields(command, "insert", _SERVED, _REFUSED)
    inserting = _Insert(call, ordered=command.get("ordered", True) is not False)
    await inserting.run(command["documents"])
    reply: Reply = {"n": inserting.n}
    if inserting.errors:
        reply["writeErrors"] = sorted(inserting.errors, key=lambda error: int(error["index"]))
    return reply | {"ok": 1.0}


class _Insert:
    """One insert command under way."""

    def __init__(self, call: Call, *, ordered: bool) -> None:
        self._call = call
        self._ordered = ordered
        self._several = False
        self.n = 0
        self.errors: list[Reply] = []

    async def run(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Insert what can be represented; in order, nothing behind the first that cannot."""
        self._several = len(documents) > 1
        good: list[_Numbered] = []
        for index, document in enumerate(documents):
            try:
                good.append(_numbered(index, document))
            except CommandFailure as failure:
                if self._ordered:
                    await self._insert(good)
                    if not self.errors:
                        self.errors.append(write_error(index, failure))
                    return
                self.errors.append(write_error(index, failure))
        await self._insert(good)

    async def _insert(self, part: Sequence[_Numbered]) -> None:
        if not part:
            return
        try:
            rows = [numbered[1:] for numbered in part]
            async with self._call.savepoint() if self._several else nullcontext():
                await insert_rows(self._call, rows, absent=False)
            self.n += len(part)
        except Refused as refused:
            if len(part) == 1:
                failure = write_failure(self._call, refused, part[0].document)
                self.errors.append(write_error(part[0].place, failure))
                return
            middle = len(part) // 2
            await self._insert(part[:middle])
            if not (self._ordered and self.errors):
                await self._insert(part[middle:])


def _numbered(index: int, document: Mapping[str, Any]) -> _Numbered:
    whole = with_id(document)
    return _Numbered(index, keys.key_of(whole["_id"]), whole, checked_record(whole))


def with_id(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as the server stores it: with an ``_id``, in the first place."""
    if next(iter(document), None) == "_id":
        return dict(document)
    rest = {name: value for name, value in document.items() if name != "_id"}
    return {"_id": document["_id"] if "_id" in document else ObjectId(), **rest}


def write_failure(call: Call, refused: Refused, document: Mapping[str, Any]) -> CommandFailure:
    """What the caller of a write is told of a refusal.

    E11000 for a unique index, MongoDB's own error for a document that no index can have, 121 for everything else.
    """
    cause = refused.__cause__
    if isinstance(cause, CommandFailure):
        return cause
    if refused.kind == "unique" and isinstance(cause, asyncpg.PostgresError):
        index, values = call.layout.duplicate(cause, document)
        return duplicate_key(call.namespace, index, values)
    return invalid(refused)
