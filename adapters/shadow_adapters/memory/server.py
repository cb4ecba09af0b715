"""The server in memory: the control schema's tables, new's records, locks, and the crash that loses a tail of commits.

What PostgreSQL does in its functions (`enter`, `readable`, opening and closing marks) is here; `control` and `session`
are its clients. A function that is handed to `run` is a transaction: it sees and changes everything at one instant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from shadow_adapters.contract import (
    OUTBOX,
    Debt,
    EntityState,
    Key,
    Lease,
    MarkId,
    NewDebt,
    NewMark,
    ProcessInfo,
    Record,
)
from shadow_adapters.failures import Refused, StoreDown
from shadow_adapters.memory.locks import Connection, Locks
from shadow_adapters.memory.tables import AuditRow, DebtRow, MarkRow, Table, UndoLog

T = TypeVar("T")

UNCOVERED = ("legacy", "new")
"""Phases without a follower: a lost mark owes nothing there."""


class MemoryServer:
    """One server that all simulated processes share. ``clock`` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        self.log = UndoLog()
        self.entities: Table[str, EntityState] = Table(self.log)
        self.leases: Table[UUID, Lease] = Table(self.log)
        self.marks: Table[MarkId, MarkRow] = Table(self.log)
        self._open: Table[MarkId, MarkRow] = Table(self.log)
        self.debts: Table[int, DebtRow] = Table(self.log)
        self.audit: Table[int, AuditRow] = Table(self.log)
        self.facts: Table[tuple[str, str, UUID], float] = Table(self.log)
        self.jobs: Table[tuple[str, str], str] = Table(self.log)
        self.records: Table[tuple[str, Key], Record] = Table(self.log)
        self.refuses: Callable[[Record], str | None] = lambda _: None
        self.locks = Locks()
        self.up = True
        self._restarts = 0
        self._born = clock()
        self._sequence = 0
        self._connections: list[Connection] = []

    @property
    def generation(self) -> str:
        """Changes with every crash: unflushed commits may be gone."""
        return f"generation {self._restarts}"

    # -- connections, crashes

    def connect(self, client: Hashable = None) -> Connection:
        """A new connection of the client."""
        connection = Connection(client)
        self._connections.append(connection)
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Close one connection and free its locks."""
        if connection.alive:
            connection.alive = False
            self._connections.remove(connection)
            self.locks.release(connection)

    def drop_client(self, client: Hashable) -> None:
        """Close every connection of a client."""
        for connection in [c for c in self._connections if c.client == client]:
            self.disconnect(connection)

    def crash(self, lose: int = 0) -> None:
        """Stop without warning. The latest ``lose`` asynchronous commits are gone for ever."""
        self.up = False
        self.log.lose(lose)
        self._restarts += 1
        for connection in list(self._connections):
            self.disconnect(connection)

    def start(self) -> None:
        """Come back after a crash."""
        self._born = self.now()
        self.up = True

    def run(self, work: Callable[[], T], *, durable: bool = True) -> T:
        """One transaction. Raises `StoreDown` while the server is down."""
        if not self.up:
            raise StoreDown("the server is down")
        with self.log.transaction(durable=durable):
            return work()

    def next_id(self) -> int:
        """A number that was never given before, as from a sequence."""
        self._sequence += 1
        return self._sequence

    # -- marks and debts, inside a transaction

    def open_marks(self, owner: UUID, marks: Iterable[NewMark]) -> None:
        """Open marks as of now; one that was ever known, open or closed, is left as it is."""
        for mark in marks:
            mark_id = MarkId(owner, mark.seq)
            if mark_id not in self.marks.rows:
                self.store_mark(MarkRow(mark_id, mark.entity, mark.key, self.now()))

    def upload_marks(self, owner: UUID, marks: Iterable[NewMark]) -> None:
        """Open marks with the times at which they were made (None: long ago).

        One that is open with a later time, because its statement was late, gets its own.
        """
        for mark in marks:
            mark_id = MarkId(mark.owner or owner, mark.seq)
            row = self.marks.rows.get(mark_id)
            if row is None:
                self.store_mark(MarkRow(mark_id, mark.entity, mark.key, mark.opened_at or 0.0))
            elif row.open and mark.opened_at and mark.opened_at < row.opened_at:
                self.store_mark(replace(row, opened_at=mark.opened_at))

    def close_marks(self, ids: Iterable[MarkId]) -> None:
        """Close those of the marks that are open."""
        for mark_id in ids:
            row = self.marks.rows.get(mark_id)
            if row is not None and row.open:
                self.store_mark(replace(row, closed_at=self.now()))

    def store_mark(self, row: MarkRow) -> None:
        """Write a mark's row."""
        self.marks.put(row.id, row)
        if row.open:
            self._open.put(row.id, row)
        elif row.id in self._open.rows:
            self._open.remove(row.id)

    @property
    def open_rows(self) -> list[MarkRow]:
        """Every open mark, oldest first."""
        return sorted(self._open.rows.values(), key=lambda m: m.opened_at)

    def open_of(self, entity: str) -> list[MarkRow]:
        """The entity's open marks, oldest first."""
        rows = [mark for mark in self._open.rows.values() if mark.entity == entity]
        return sorted(rows, key=lambda m: m.opened_at)

    def owe(self, debts: Iterable[NewDebt]) -> None:
        """Open debts; the entity ``*`` is every one that has a follower."""
        now = self.now()
        for new in debts:
            for entity in self._followed() if new.entity == "*" else [new.entity]:
                debt_id = self.next_id()
                since = now if new.since is None else new.since
                self.debts.put(debt_id, DebtRow(Debt(debt_id, entity, since, new.reason, now + new.settle)))

    def _followed(self) -> list[str]:
        return [state.entity for state in self.entities.rows.values() if state.phase not in UNCOVERED]

    def open_debts(self, entity: str) -> list[Debt]:
        """The entity's unpaid debts, oldest first."""
        return [d.debt for d in self.debts.rows.values() if d.debt.entity == entity and d.evidence is None]

    def owed_since(self, entity: str, since: float) -> bool:
        """Whether a debt of the entity was open at any time since."""
        debts = (row for row in self.debts.rows.values() if row.debt.entity == entity)
        return any(row.paid_at is None or row.paid_at >= since for row in debts)

    def revive(self, process: UUID, settle_seconds: float) -> None:
        """A process that was accounted for is alive after all: its marks may have been closed while it wrote."""
        lease = self.leases.rows.get(process)
        if lease is not None and lease.gone_at is not None:
            reason = f"a process that was accounted for is alive: {process}"
            self.owe([NewDebt("*", reason, since=lease.gone_at, settle=settle_seconds)])

    def introduce(self, process: UUID) -> None:
        """A process that died before it ever joined: what it journalled has an owner, who is gone."""
        if process not in self.leases.rows:
            unknown = ProcessInfo(process, "", 0, "", 0.0)
            self.leases.put(process, Lease(unknown, self.now(), self.generation, self.now()))

    def account(self, process: UUID, settle_seconds: float, *, journal_seen: bool) -> None:
        """The process is accounted for.

        A debt per entity if its lease was not renewed since the last crash, or if its journal could not be seen.
        """
        lease = self.leases.rows.get(process)
        if lease is None or lease.gone_at is not None:
            return
        self.leases.put(process, replace(lease, gone_at=self.now()))
        if lease.generation != self.generation or not journal_seen:
            reason = f"marks of a process may be lost: {process}"
            self.owe([NewDebt("*", reason, since=lease.expires_at - 3600, settle=settle_seconds)])

    def settled(self, row: MarkRow, settle_seconds: float) -> bool:
        """Whether the mark's write surely is over, whoever made it: the outbox's, a refused one, one of the gone."""
        if row.outbox or row.refused is not None:
            return True
        lease = self.leases.rows.get(row.id.owner)
        return lease is not None and lease.gone_at is not None and lease.gone_at < self.now() - settle_seconds

    # -- what PostgreSQL checks itself

    def enter(self, entity: str, term: int) -> bool:
        """Whether a transaction that changes a record may go on: the authority has not moved."""
        state = self.entities.rows.get(entity)
        return state is not None and state.term == term

    def readable(self, entity: str, epoch: int, key: Key | None, stale_after: float | None) -> bool:
        """Whether new may answer a read (of one key, or of the entity where the key is None)."""
        state = self.entities.rows.get(entity)
        if state is None or state.epoch != epoch:
            return False
        if stale_after is None:
            return True
        # A mark from before the crash: the sync that closed it, and let its writer return, may be lost with the crash.
        old = max(self.now() - stale_after, self._born)
        touched = (m for m in self.open_of(entity) if m.key == key or m.key is None or key is None)
        return (
            not any(m.opened_at <= old or m.refused is not None for m in touched)
            and not self.open_debts(entity)
            and not any(self._doubtful(lease) for lease in self.leases.rows.values())
        )

    def _doubtful(self, lease: Lease) -> bool:
        return lease.gone_at is None and (lease.expires_at < self.now() or lease.generation != self.generation)

    # -- new's records, inside a transaction

    def records_of(self, entity: str, keys: Iterable[Key]) -> dict[Key, Record]:
        """Those of the keys that exist."""
        rows = self.records.rows
        return {key: rows[entity, key] for key in keys if (entity, key) in rows}

    def put_records(self, entity: str, states: Mapping[Key, Record | None]) -> None:
        """Make the records equal to ``states`` (None: delete). Raises `Refused`."""
        for key, record in states.items():
            if record is None:
                self.records.remove((entity, key))
                continue
            reason = self.refuses(record)
            if reason is not None:
                raise Refused(reason, kind="check", key=key)
            self.records.put((entity, key), record)

    def mark_outbox(self, entity: str, keys: Iterable[Key]) -> None:
        """What the trigger on new's table does in the writer's transaction while new is the authority."""
        state = self.entities.rows[entity]
        if state.phase == "write_new":
            self.open_marks(OUTBOX, [NewMark(self.next_id(), entity, key) for key in keys])

    def write_audit(self, **line: Any) -> None:
        """Append one line."""
        self.audit.put(self.next_id(), AuditRow(at=self.now(), **line))
