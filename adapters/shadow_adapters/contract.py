"""The contract between the protocol and the stores, in prose and in types.

Words. A *record* is the BSON of one document. A *key* is the byte form of its ``_id`` under BSON equality
(`shadow_adapters.bson.keys`): decodable, and equal for 1, 1.0 and Int64(1). *Control* is the schema in PostgreSQL that
holds what the fleet must agree on: leases, phases, epochs, marks and debts.

What every implementation must do, PostgreSQL's and the one in memory alike:

* Each method of `Control` is one transaction. It raises `StoreDown` when nothing can be said; a caller may repeat it.
* `mark`, `name`, `drop` and what a `SyncSession` does may commit asynchronously: a restart of the server may lose it.
  All others are durable when they return, and everything committed before them on the same server is durable with them.
* `mark`, `renew` and `join` never reopen a mark that was closed, however late they arrive.
* A `SyncSession` holds its keys' locks from `capture` to `release`, or until its connection dies; if it dies, `put` and
  `close` have no effect after that.
* `SyncSession.put` does nothing, and says so, when the entity's *term* is not the one given. A term is a number that
  changes whenever the authority moves; the *epoch* changes with every stage of every step, and is what is acknowledged.
* A durable transaction makes everything that the server committed before it durable, so a process may forget a closed
  mark once a renewal that it sent after the closing has returned under the same server generation.
* A store's times are PostgreSQL's clock, in seconds since 1970, as floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from shadow_adapters.failures import Refused

Key = bytes
Record = bytes

OUTBOX = UUID(int=0)
"""Owner of the marks that a trigger writes in `write_new`: they are settled as soon as they can be seen."""


class MarkId(NamedTuple):
    """Identity of one mark: the process that made it, and a number that the process never gives twice."""

    owner: UUID
    seq: int


class NewMark(NamedTuple):
    """A mark to be opened. ``key`` None is the entity's keyless mark.

    ``opened_at`` None means now where a mark is opened (`Control.mark`), and long ago where one is uploaded.
    """

    seq: int
    entity: str
    key: Key | None
    opened_at: float | None = None
    owner: UUID | None = None  # None: the process that opens it; set when a journal of another one is uploaded


@dataclass(frozen=True, slots=True)
class OpenMark:
    """A mark as control holds it."""

    id: MarkId
    entity: str
    key: Key | None
    opened_at: float
    refused: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Debt:
    """The durable note that an entity owes a verify of everything changed since ``since``."""

    id: int
    entity: str
    since: float
    reason: str
    payable_at: float  # since the writes that it covers may apply late, not before


@dataclass(frozen=True, slots=True)
class NewDebt:
    """A debt to be opened; the entity ``*`` is every one that has a follower."""

    entity: str
    reason: str
    since: float | None = None  # None: now
    settle: float = 0.0  # seconds after now before which it must not be paid


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process as it announces itself. ``started`` and ``pid_namespace`` tell a reused pid from the same process."""

    id: UUID
    host: str
    pid: int
    pid_namespace: str
    started: float
    command: str = ""
    protocol: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Lease:
    """A process's standing in the fleet."""

    process: ProcessInfo
    expires_at: float
    generation: str  # the server generation under which it was last renewed
    gone_at: float | None  # when it was accounted for
    acknowledged: Mapping[str, int] = field(default_factory=dict)  # entity -> epoch


@dataclass(frozen=True, slots=True)
class EntityState:
    """What the fleet has agreed on for one entity. ``step`` is the phase being moved to, ``stage`` how far it is."""

    entity: str
    phase: str
    epoch: int
    term: int = 1
    step: str | None = None
    stage: str | None = None  # announce | drain | fence
    stage_since: float = 0.0
    backfill: str = "none"  # none | running | done
    dual_since: float | None = None  # when every process had acknowledged the step to dual_write
    latch: str | None = None  # why the breaker holds it


@dataclass(frozen=True, slots=True)
class Burden:
    """What is open for one entity."""

    marks: int = 0
    oldest_mark: float | None = None
    keyless: int = 0
    refused: int = 0
    debts: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What one renewal brings back: the clock, the server's generation, every entity, every lease not accounted for."""

    now: float
    generation: str  # changes when the server restarts or changes its timeline
    entities: Mapping[str, EntityState]
    leases: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a process brings with its renewal: remembered marks, its journal, debts that it knows of."""

    marks: tuple[NewMark, ...] = ()
    debts: tuple[NewDebt, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """One durable change of an entity's state, written only if the epoch is still ``expect``.

    Every transition advances the epoch; one that changes the phase between ``read_new`` and ``write_new`` (either way)
    advances the term too.
    """

    entity: str
    expect: int
    phase: str
    step: str | None
    stage: str | None
    who: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    backfill: str | None = None
    dual_since: float | None = None
    latch: str | None = None
    move_term: bool = False  # the authority moves
    require_no_marks: bool = False  # the fence: nothing moves while a mark is open; checked in the same transaction


@dataclass(frozen=True, slots=True)
class Captured:
    """What a sync knows after it took its keys' locks.

    ``closable``: per key, the marks that this sync may close (their writes had settled before now).
    ``alone``: the keys for which no mark but the caller's own, and no debt, was open at any time since the caller's was
    opened.
    ``records``: new's records, where new is the authority.
    """

    closable: Mapping[Key, tuple[MarkId, ...]]
    alone: frozenset[Key]
    records: Mapping[Key, Record] = field(default_factory=dict)


class SyncSession(Protocol):
    """One held connection on which keys are locked, captured, put and closed."""

    async def capture(
        self, entity: str, term: int, mine: Mapping[Key, Sequence[int]], *, put_marks: Mapping[Key, int] | None = None
    ) -> Captured | None:
        """Lock the keys, in an order that cannot deadlock, and say what may be closed. None when the term moved.

        Closable are ``mine``, the outbox's, those of processes accounted for longer than the settling time ago, and
        those noted as refused.

        ``mine``: for every key to sync, the sequence numbers of this process's own settled marks of it.
        ``put_marks``: where the follower lies outside PostgreSQL, a mark to open for each key in the same transaction.
        Waits for a lock; the caller bounds it.
        """

    async def put(self, entity: str, term: int, states: Mapping[Key, Record | None], close: Sequence[MarkId]) -> bool:
        """Make new's records equal to ``states`` (None: delete) and close the marks, in one transaction.

        False when the term moved. Raises `Refused` (with ``key``) when new refuses one of the records; nothing is
        changed then.
        """

    async def close(self, close: Sequence[MarkId]) -> bool:
        """Close the marks if this session still holds its locks (the follower was put outside PostgreSQL)."""

    async def release(self) -> None:
        """Give the locks back. Never raises."""


class Control(Protocol):
    """What the fleet agrees on, kept in PostgreSQL."""

    # -- processes
    async def join(self, me: ProcessInfo, lease_seconds: float, upload: Upload, gone: Sequence[UUID]) -> Fleet:
        """Take a lease, uploading what an earlier life left behind in the same transaction.

        ``gone``: earlier processes of this host and pid namespace that the caller has seen gone; they are accounted
        for here, after the upload, journals included, also where they never joined. One whose lease was not renewed
        since the server restarted leaves a debt of every entity that has a follower.
        """

    async def renew(
        self,
        me: UUID,
        expires_at: float,
        upload: Upload,
        generation: str | None = None,
        gone: Sequence[UUID] = (),
    ) -> Fleet:
        """Extend the lease to the absolute ``expires_at`` (never shorten it), after the upload, in one transaction.

        ``gone`` as in `join`: processes seen gone, whose journals are part of the upload.

        A process that was accounted for and is alive after all leaves a debt of every entity that has a follower: its
        marks may have been closed while its writes were under way.

        With ``generation`` given, and the server's being another one, nothing is written; the answer shows the new
        generation, and the caller comes back with everything that it remembers and no ``generation``.
        """

    async def acknowledge(self, me: UUID, epochs: Mapping[str, int]) -> None:
        """Say that this process acts under these epochs now. An epoch that moved meanwhile is left out."""

    async def goodbye(self, me: UUID, upload: Upload) -> None:
        """Leave cleanly: accounted for from now on."""

    async def account(self, process: UUID, why: str) -> None:
        """Declare a process dead whose journal cannot be seen. Its marks may be closed after the settling time; what it
        may have written to its journal becomes a debt of every entity that has a follower."""

    async def fleet(self) -> Fleet:
        """What a renewal brings back, without renewing."""

    # -- entities
    async def ensure(self, entities: Sequence[str]) -> None:
        """Make a row in phase ``legacy`` for every entity that has none."""

    async def transition(self, change: Transition) -> bool:
        """Apply the change, with its audit line, if the entity is still as expected. False otherwise."""

    async def conduct(self, me: UUID) -> bool:
        """Whether this process is the conductor now (an advisory lock, held by its control connection)."""

    async def burden(self, entity: str) -> Burden:
        """What is open for the entity now."""

    # -- marks and debts
    async def mark(self, me: UUID, marks: Sequence[NewMark], within: float | None = None) -> None:
        """Open marks, one statement, asynchronous commit. Those that were ever known are left as they are.

        Raises `StoreDown` when it is not certain that they are open ``within`` so many seconds.
        """

    async def name(self, me: UUID, seq: int, key: Key) -> None:
        """Turn a keyless mark into the key's."""

    async def drop(self, me: UUID, seqs: Sequence[int]) -> None:
        """Close marks whose writes had a definite refusal or changed nothing."""

    async def close(self, marks: Sequence[MarkId]) -> None:
        """Close marks, whoever's they are, that something else covers now (a debt)."""

    async def refuse(self, refused: Mapping[MarkId, str]) -> None:
        """Note on these open marks, whose writes have settled, why the record is refused. They are due again later."""

    async def orphans(self, me: UUID, *, limit: int) -> list[OpenMark]:
        """The oldest open marks that nobody else works on, at least one for each key that has any.

        They are of processes gone longer than the settling time ago, of the outbox, refused ones that are due again,
        and those held in this process's own name.
        """

    async def purge(self, older_than: float) -> int:
        """Delete marks closed more than so many seconds ago; returns how many."""

    async def rest_outbox(self, entity: str) -> bool:
        """Where the entity is in phase ``new``, mark no more of its writes. Whether that is so now; else ask again."""

    async def marked_since(self, entity: str, since: float) -> frozenset[Key]:
        """Keys of which a mark was open at any time since, closed ones included."""

    async def owe(self, debts: Sequence[NewDebt]) -> None: ...

    async def debts(self, entity: str) -> list[Debt]: ...

    async def pay(self, ids: Sequence[int], evidence: Mapping[str, Any]) -> None: ...

    # -- what gates and jobs need
    async def state_facts(self, me: UUID, facts: Mapping[tuple[str, str], float]) -> None:
        """Overwrite what this process has seen: (entity, name) -> value."""

    async def facts(self, entity: str) -> dict[str, tuple[float, float]]:
        """What the fleet has seen of an entity: name -> (sum over processes, worst of them)."""

    async def save_job(self, entity: str, job: str, state: Mapping[str, Any]) -> None:
        """Keep how far a job has come (JSON values only)."""

    async def load_job(self, entity: str, job: str) -> dict[str, Any] | None:
        """Where a job left off, None where it never ran."""

    # -- syncing
    async def session(self) -> SyncSession:
        """A session on a connection of its own until `SyncSession.release`."""


class Legacy(Protocol):
    """One entity's legacy store, by key. Reads are from the primary, after everything acknowledged."""

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""

    async def put(self, states: Mapping[Key, Record | None]) -> dict[Key, Refused]:
        """Replace, insert or delete each; returns those that were refused, and why. All others were put.

        Raises `StoreDown` (none will be applied any more), `OutcomeUnknown` (any of them may be), or `Refused` where
        it cannot be said which record is at fault.
        """

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next records in the order of their byte keys. Empty at the end."""

    async def identity(self) -> str:
        """The election or replication id. A change means that acknowledged writes may be gone."""

    async def arm(self) -> None:
        """Write into legacy itself that the authority may be elsewhere from now on, before it can be."""

    async def armed(self) -> bool:
        """Whether it may be."""


class New(Protocol):
    """One entity's new store, by key, for backfill and verify."""

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]: ...

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]: ...

    async def insert_absent(self, term: int, records: Mapping[Key, Record]) -> frozenset[Key]:
        """Insert those that new does not have; returns the keys that were there already or were refused.

        Raises `EpochMoved` when the term moved.
        """


@dataclass(frozen=True, slots=True)
class Fence:
    """The terms under which a command runs on new; checked by PostgreSQL itself, in the same statement.

    ``epoch``: for a read the entity's epoch (``shadow.readable``); for a write its term (``shadow.enter``).
    ``stale_after``: for reads in ``read_new``: new answers only if no mark of the key (of the entity, for a query over
    many keys) is older than this many seconds, no debt is open, and every lease is live. None: only the epoch counts.
    """

    entity: str
    epoch: int
    stale_after: float | None = None


def may_be_legacys(fence: Fence | None) -> bool:
    """Whether a command under these terms is legacy's, the authority's, where new may not or cannot answer it."""
    return fence is not None and fence.stale_after is not None
