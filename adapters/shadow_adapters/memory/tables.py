"""Rows of the server in memory, and how a transaction on them is undone or lost.

Every change of a row leaves its undo in one log. A transaction that fails takes its own undos; a server that crashes
takes those of its latest asynchronous commits, newest first, as a lost tail of the write-ahead log would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shadow_adapters.contract import OUTBOX, Debt, Key, MarkId

K = TypeVar("K")
V = TypeVar("V")


class UndoLog:
    """What would have to be undone, oldest first, for the commits that are not durable yet."""

    def __init__(self) -> None:
        self._undos: list[Callable[[], object]] = []
        self._starts: list[int] = []

    @property
    def pending(self) -> int:
        """How many commits a crash could lose now."""
        return len(self._starts)

    def note(self, undo: Callable[[], object]) -> None:
        """Remember how to undo one change."""
        self._undos.append(undo)

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing. A durable one that changed something makes every earlier commit durable with it."""
        start = len(self._undos)
        try:
            yield
        except BaseException:
            self._rewind(start)
            raise
        if len(self._undos) == start:
            return
        if durable:
            self.flush()
        else:
            self._starts.append(start)

    def flush(self) -> None:
        """Everything committed so far is durable."""
        self._undos.clear()
        self._starts.clear()

    def lose(self, commits: int) -> None:
        """Undo the latest so many commits that are not durable; the others are durable from now on."""
        if commits > 0 and self._starts:
            self._rewind(self._starts[-min(commits, len(self._starts))])
        self.flush()

    def _rewind(self, start: int) -> None:
        while len(self._undos) > start:
            self._undos.pop()()


class Table(Generic[K, V]):
    """Rows by primary key. ``rows`` is for reading; a row is never changed in place."""

    def __init__(self, log: UndoLog) -> None:
        self.rows: dict[K, V] = {}
        self._log = log

    def put(self, key: K, row: V) -> None:
        """Insert or replace a row."""
        self._note(key)
        self.rows[key] = row

    def remove(self, key: K) -> None:
        """Delete a row if it is there."""
        self._note(key)
        self.rows.pop(key, None)

    def _note(self, key: K) -> None:
        if key in self.rows:
            before = self.rows[key]
            self._log.note(lambda: self.rows.__setitem__(key, before))
        else:
            self._log.note(lambda: self.rows.pop(key, None))


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A mark, open or closed. A closed one is kept: a late upload must not reopen it, and the backfill asks for it."""

    id: MarkId
    entity: str
    key: Key | None
    opened_at: float
    closed_at: float | None = None
    refused: str | None = None
    attempts: int = 0
    due_at: float | None = None

    @property
    def open(self) -> bool:
        """Whether it is not closed."""
        return self.closed_at is None

    @property
    def outbox(self) -> bool:
        """Whether a trigger wrote it."""
        return self.id.owner == OUTBOX


@dataclass(frozen=True, slots=True)
class DebtRow:
    """A debt, and when and with what evidence it was paid."""

    debt: Debt
    evidence: Mapping[str, Any] | None = None
    paid_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit."""

    at: float
    entity: str
    who: str
    phase: str
    step: str | None
    stage: str | None
    why: str
    evidence: Mapping[str, Any]
