"""What the stores acknowledged to the application: the demo's own memory, against which nothing may be lost.

The ledger knows every record as it must be. Writes to one record never overlap, so their order is known. A read that
began and ended while nobody wrote its record must have seen it exactly so.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from random import Random
from typing import Any

Document = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """One record. ``document`` None: deleted. ``certain`` False: a write of it failed, so that either may be true."""

    document: Document | None
    version: int = 0
    writing: bool = False
    certain: bool = True


class Ledger:
    """The records of every collection of one database."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[Any, Entry]] = {}
        self._ids: dict[str, list[Any]] = {}

    def put(self, collection: str, document: Document) -> Entry:
        """A record that is there, or is about to be."""
        entry = Entry(copy.deepcopy(document))
        self._entries.setdefault(collection, {})[document["_id"]] = entry
        self._ids.setdefault(collection, []).append(document["_id"])
        return entry

    def any(self, collection: str, rng: Random) -> Any:
        """The ``_id`` of some record, which may be gone by now."""
        return rng.choice(self._ids[collection])

    def idle(self, collection: str, rng: Random) -> tuple[Any, Entry] | None:
        """Some record that is there and that nobody writes; None where chance found none."""
        for _ in range(20):
            id = self.any(collection, rng)
            entry = self._entries[collection][id]
            if entry.document is not None and not entry.writing and not _waits(entry.document):
                return id, entry
        return None

    def entry(self, collection: str, id: Any) -> Entry:
        """The record's entry."""
        return self._entries[collection][id]

    def knows(self, collection: str, id: Any) -> bool:
        """Whether the record was ever written, or tried to be."""
        return id in self._entries.get(collection, {})

    def rest(self, collection: str, id: Any) -> int | None:
        """The version of a record at rest; None while it is being written, or may be claimed by anybody."""
        entry = self._entries[collection][id]
        if entry.writing or not entry.certain or _waits(entry.document):
            return None
        return entry.version

    def stale(self, collection: str, id: Any, version: int | None, seen: Document | None) -> bool:
        """Whether a read missed an acknowledged write. ``version``: what `rest` said when it began."""
        return (
            version is not None and version == self.rest(collection, id) and seen != self.entry(collection, id).document
        )

    def expected(self, collection: str) -> dict[Any, Document | None]:
        """Every record that is certain, None for a deleted one."""
        return {id: entry.document for id, entry in self._entries.get(collection, {}).items() if entry.certain}


class Writing:
    """A write of one record: ``with Writing(entry): ...`` around the call, `done` with what it came to."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = entries
        self._done = False

    def __enter__(self) -> Writing:
        for entry in self._entries:
            entry.writing = True
        return self

    def done(self) -> None:
        """The write was acknowledged."""
        self._done = True

    def __exit__(self, *_: object) -> None:
        for entry in self._entries:
            entry.writing = False
            entry.version += 1
            entry.certain = entry.certain and self._done


def apply(document: Document, update: Document) -> None:
    """What ``$set``, ``$inc`` and ``$push`` on dotted paths do to a document, in place."""
    for operator, changes in update.items():
        for path, value in changes.items():
            *outer, name = path.split(".")
            inner = document
            for part in outer:
                inner = inner[part]
            if operator == "$set":
                inner[name] = value
            elif operator == "$inc":
                inner[name] += value
            else:
                inner[name].append(value)


def _waits(document: Document | None) -> bool:
    """Whether a workflow may be claimed: then the store chooses who changes it, and when."""
    return document is not None and document.get("status") == "queued"
