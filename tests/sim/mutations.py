"""The rules taken out one by one, to see that the simulation misses each.

A mutation replaces one function of the code under test (or of the server in memory, where PostgreSQL itself keeps the
rule) by one without the rule. Each has the kind of run in which its absence shows soonest: rules back one another up,
and a run in which everything happens at once often repairs what a missing rule breaks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from shadow.protocol import conductor, membership
from shadow.protocol.handle import Handle
from shadow.protocol.jobs import Jobs
from shadow.protocol.lane import Lane
from shadow.protocol.marker import Marker
from shadow.protocol.marks import Held, MarkBook
from shadow.protocol.membership import Membership
from shadow.protocol.node import Node
from shadow.protocol.reconcile import Reconciler
from shadow.protocol.sync import Syncer
from shadow.protocol.unit import MarkedUnit
from shadow.protocol.view import View, view_of
from shadow.protocol.writes import Fate
from shadow_adapters.contract import EntityState, Key, Lease, MarkId, NewMark, OpenMark, Record, Transition
from shadow_adapters.memory.control import MemoryControl
from shadow_adapters.memory.server import MemoryServer
from shadow_adapters.memory.stores import MemoryNew
from shadow_adapters.memory.tables import MarkRow
from shadow_flags.phases import PHASES, Phase, Store
from shadow_flags.steps import decide
from tests.sim.campaign import run
from tests.sim.scenario import (
    BACK,
    COMING,
    DEBTS,
    DUAL,
    FORGET,
    LATE_FILL,
    LOOPS,
    LOSSY,
    MANY,
    MANY_READS,
    MOVES,
    NEW,
    PAID,
    PAUSES,
    READS,
    REFILL,
    REFUSALS,
    REFUSED_READS,
    REFUSES,
    SLOW_MANY,
    STALLED_FILL,
    UNIT_READS,
    UNITS,
    Scenario,
)

SAFETY = ("uncovered", "lost", "stale", "unequal")
"""What a missing rule must show as: a run that only fails to come to rest proves nothing."""

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A rule of the design, and the code without it.

    Attributes:
        rule: as the design numbers it.
        what: what is taken out.
        patches: object, attribute and replacement.
        scenario: the run in which it shows.
    """

    rule: str
    what: str
    patches: Sequence[Patch]
    scenario: Scenario


@contextmanager
def applied(mutation: Mutation) -> Iterator[None]:
    """The code without the rule, for a while."""
    with ExitStack() as stack:
        for target, attribute, replacement in mutation.patches:
            stack.enter_context(patch.object(target, attribute, replacement))
        yield


def search(mutation: Mutation, runs: int, first: int = 1) -> tuple[int, str] | None:
    """The first seed, of so many, that finds the mutation, and what it says."""
    with applied(mutation):
        for seed in range(first, first + runs):
            _, violation = run(seed, mutation.scenario)
            if violation is not None and violation.startswith(SAFETY):
                return seed, violation
    return None


def survey(runs: int = 1000) -> int:
    """Look for every mutation, and say which seed finds it; 1 if one stays hidden, or if its seed fails anyway."""
    hidden = 0
    for name, mutation in MUTATIONS.items():
        began = time.monotonic()
        found = search(mutation, runs)
        title = f"rule {mutation.rule:5} {name:13} {mutation.what:45}"
        if found is None:
            hidden = 1
            print(f"{title} NOT FOUND in {runs} runs", flush=True)
            continue
        seed, violation = found
        _, anyway = run(seed, mutation.scenario)
        hidden = hidden or int(anyway is not None)
        holds = "holds with the rule" if anyway is None else f"FAILS WITH THE RULE TOO: {anyway}"
        print(f"{title} seed {seed:4}, {time.monotonic() - began:5.1f} s, {holds}: {violation[:70]}", flush=True)
    return hidden


# -- the rules taken out

_record = Marker._record


async def _mark_later(self: Marker, view: Callable[[], View], marks: list[Held]) -> None:
    async def later() -> None:
        await asyncio.sleep(0.05)
        await _record(self, view, list(marks))

    asyncio.get_running_loop().create_task(later())


def _retire_nothing(self: MarkBook, held: Held) -> None:
    held.captured = True


def _settled_now(self: Lane) -> float:
    return asyncio.get_running_loop().time()


def _settled_at_once(self: MemoryServer, row: MarkRow, settle_seconds: float) -> bool:
    lease = self.leases.rows.get(row.id.owner)
    return row.outbox or row.refused is not None or (lease is not None and lease.gone_at is not None)


def _puts_settled(self: Syncer, puts: Iterable[Held]) -> None:
    for held in puts:
        held.recorded = True
        if held.users:
            self._book.settle(held)


def _enter_always(self: MemoryServer, entity: str, term: int) -> bool:
    return True


_open_marks = MemoryServer.open_marks


def _upload_now(self: MemoryServer, owner: UUID, marks: Iterable[NewMark]) -> None:
    for mark in marks:
        _open_marks(self, mark.owner or owner, [mark])


_send = Membership._send


async def _send_no_memory(self: Membership, left: Any, gone: Any, generation: str | None, remembered: Any) -> Any:
    return await _send(self, left, gone, generation, [])


_account = MemoryServer.account


def _account_no_debt(self: MemoryServer, process: UUID, settle_seconds: float, *, journal_seen: bool) -> None:
    lease = self.leases.rows.get(process)
    if lease is not None and lease.gone_at is None:
        self.leases.put(process, replace(lease, gone_at=self.now()))


def _no_debts(self: MemoryServer, entity: str) -> list[Any]:
    return []


_readable = MemoryServer.readable


def _readable_beside_debts(
    self: MemoryServer, entity: str, epoch: int, key: Key | None, stale_after: float | None
) -> bool:
    with patch.object(MemoryServer, "open_debts", _no_debts):
        return _readable(self, entity, epoch, key, stale_after)


def _readable_beside_marks(
    self: MemoryServer, entity: str, epoch: int, key: Key | None, stale_after: float | None
) -> bool:
    with patch.object(MemoryServer, "open_of", _no_debts):
        return _readable(self, entity, epoch, key, stale_after)


def _never_doubtful(self: MemoryServer, lease: Lease) -> bool:
    return False


def _doubtful_only_lapsed(self: MemoryServer, lease: Lease) -> bool:
    return lease.gone_at is None and lease.expires_at < self.now()


async def _one_try(self: Lane, marks: Sequence[Held], until: float) -> bool:
    await self.sync(marks[0].entity, [held.key for held in marks if held.key is not None])
    return False


def _lapsed_always(self: Membership) -> bool:
    return True


def _lapse_of_the_last(self: Membership) -> float:
    now = asyncio.get_running_loop().time()
    self._lapse = now
    return now


def _ready_at_once(self: Jobs, state: EntityState, now: float) -> bool:
    return state.backfill == "running"


async def _no_marked(self: MemoryControl, entity: str, since: float) -> frozenset[Key]:
    return frozenset()


_insert_absent = MemoryNew.insert_absent


async def _none_present(self: MemoryNew, term: int, records: Mapping[Key, Record]) -> frozenset[Key]:
    await _insert_absent(self, term, records)
    return frozenset()


async def _no_sweep(self: Jobs, entity: str, *, repair: bool = True) -> dict[str, object]:
    return {}


def _view_without_hold(state: EntityState) -> View:
    return replace(view_of(state), holding=False)


def _never_older(self: Any, epoch: int) -> bool:
    return False


_transition = MemoryControl.transition


async def _transition_over_marks(self: MemoryControl, change: Transition) -> bool:
    return await _transition(self, replace(change, require_no_marks=False))


_mark_in_unit = MarkedUnit.mark


async def _mark_and_settle(self: MarkedUnit, lane: Lane, handle: Handle, keys: Sequence[Key | None]) -> None:
    await _mark_in_unit(self, lane, handle, keys)
    self._settle(Fate.SOME)


_settle_unit = MarkedUnit._settle


def _settle_known(self: MarkedUnit, fate: Fate) -> list[Held]:
    return _settle_unit(self, Fate.SOME if fate is Fate.UNKNOWN else fate)


def _settle_for_good(self: MarkedUnit, fate: Fate) -> list[Held]:
    marks = _settle_unit(self, fate)
    self._doubtful = []
    return marks


_commit_unit = MarkedUnit.commit


async def _commit_and_return(self: MarkedUnit, apply: Any, fate: Any) -> None:
    self._handles = []
    await _commit_unit(self, apply, fate)


async def _owe_nothing(self: Reconciler, keyless: Sequence[OpenMark]) -> None:
    await self._control.close([mark.id for mark in keyless])


def _keyless_in_use(self: MarkBook, now: float) -> list[Held]:
    return [held for held in self._open.values() if held.key is None and held.recorded]


_synced = Lane.synced


async def _synced_keys(self: Lane, marks: Sequence[Held], until: float) -> bool:
    return await _synced(self, [held for held in marks if held.key is not None], until)


def _readable_though_refused(
    self: MemoryServer, entity: str, epoch: int, key: Key | None, stale_after: float | None
) -> bool:
    rows = [replace(row, refused=None, opened_at=self.now()) for row in self.open_of(entity) if row.refused]
    others = [row for row in self.open_of(entity) if not row.refused]
    with patch.object(MemoryServer, "open_of", lambda *_: [*rows, *others]):
        return _readable(self, entity, epoch, key, stale_after)


async def _refuse_and_close(self: MemoryControl, refused: Mapping[MarkId, str]) -> None:
    await self.close(list(refused))


def _no_outbox(self: MemoryServer, entity: str, keys: Iterable[Key]) -> None:
    return


_handle = Node.handle


class _Unheeded(Handle):
    def older(self, epoch: int) -> bool:
        return False


def _handle_of_one_loop(self: Node, entity: str) -> Handle:
    if not self.handles:
        return _handle(self, entity)
    self.handles.append(_Unheeded(entity, self.views, self.terms))
    return self.handles[-1]


def _one_spell(self: Membership, now: float) -> int:
    return 0


def _view_awaiting_late(state: EntityState) -> View:
    return replace(view_of(state), awaits=PHASES[Phase(state.phase)].awaits_sync)


def _view_reading_long(state: EntityState) -> View:
    return replace(view_of(state), reads_new=PHASES[Phase(state.phase)].reads is Store.NEW)


def _readable_in_any_epoch(
    self: MemoryServer, entity: str, epoch: int, key: Key | None, stale_after: float | None
) -> bool:
    return _readable(self, entity, self.entities.rows[entity].epoch, key, stale_after)


def _never_owed(self: MemoryServer, entity: str, since: float) -> bool:
    return bool(self.open_debts(entity))


def _decide_without(**forgotten: Any) -> Any:
    return lambda at, limit: decide(replace(at, **forgotten), limit)


MUTATIONS: dict[str, Mutation] = {
    "mark_first": Mutation("1", "the write does not wait for its mark", [(Marker, "_record", _mark_later)], DUAL),
    "capture": Mutation("1", "a captured mark covers a later write", [(MarkBook, "_retire", _retire_nothing)], DUAL),
    "unsettled": Mutation("2", "an unknown outcome settles at once", [(Lane, "settled_at", _settled_now)], DUAL),
    "settle": Mutation("2", "marks of the gone close at once", [(MemoryServer, "settled", _settled_at_once)], DUAL),
    "put_mark": Mutation("3", "an unknown put settles at once", [(Syncer, "_settle_puts", _puts_settled)], NEW),
    "enter": Mutation("4", "the term is not checked", [(MemoryServer, "enter", _enter_always)], FORGET),
    "reupload": Mutation("5", "nothing is uploaded after a restart", [(Membership, "_send", _send_no_memory)], LOSSY),
    "restart_debt": Mutation("5", "lost marks leave no debt", [(MemoryServer, "account", _account_no_debt)], LOSSY),
    "upload_age": Mutation("5", "uploads forget the age", [(MemoryServer, "upload_marks", _upload_now)], LOSSY),
    "debt_reads": Mutation("7", "reads ignore debts", [(MemoryServer, "readable", _readable_beside_debts)], LOSSY),
    "debt_gate": Mutation("7", "steps ignore debts", [(conductor, "decide", _decide_without(debts=0))], DEBTS),
    "old_marks": Mutation("8", "reads ignore marks", [(MemoryServer, "readable", _readable_beside_marks)], READS),
    "lapsed": Mutation("8", "reads ignore leases", [(MemoryServer, "_doubtful", _never_doubtful)], READS),
    "restart_reads": Mutation(
        "8", "reads ignore a restart", [(MemoryServer, "_doubtful", _doubtful_only_lapsed)], LOSSY
    ),
    "fail_wait": Mutation("9", "a failed sync returns early", [(Lane, "synced", _one_try)], READS),
    "hold": Mutation("10", "writes are not held", [(Membership, "surely_lapsed", _lapsed_always)], READS),
    "bf_settle": Mutation(
        "17",
        "the backfill does not wait for unmarked writes",
        [(Jobs, "_ready", _ready_at_once), (Jobs, "verify", _no_sweep), (Handle, "older", _never_older)],
        LATE_FILL,
    ),
    "bf_marked": Mutation(
        "17",
        "marked keys are not synced",
        [(MemoryControl, "marked_since", _no_marked), (Jobs, "verify", _no_sweep)],
        STALLED_FILL,
    ),
    "bf_present": Mutation(
        "17",
        "present keys are not synced",
        [(MemoryNew, "insert_absent", _none_present), (Jobs, "verify", _no_sweep)],
        REFILL,
    ),
    "sweep": Mutation("17", "what legacy lacks is not swept", [(Jobs, "verify", _no_sweep)], REFILL),
    "fence_hold": Mutation("fence", "calls are not held", [(membership, "view_of", _view_without_hold)], MOVES),
    "fence_marks": Mutation(
        "fence",
        "marks are not drained",
        [(MemoryControl, "transition", _transition_over_marks), (conductor, "decide", _decide_without(marks=0))],
        MOVES,
    ),
    "unit_marks": Mutation(
        "12", "a transaction's marks settle before its end", [(MarkedUnit, "mark", _mark_and_settle)], UNITS
    ),
    "unit_unknown": Mutation(
        "12", "an unknown commit settles at once", [(MarkedUnit, "_settle", _settle_known)], UNITS
    ),
    "unit_repeat": Mutation(
        "12", "a repeated commit awaits nothing", [(MarkedUnit, "_settle", _settle_for_good)], UNIT_READS
    ),
    "unit_await": Mutation("9", "a commit awaits no sync", [(MarkedUnit, "commit", _commit_and_return)], UNIT_READS),
    "nameless": Mutation("12", "unnamed keys are not owed", [(Reconciler, "_owe", _owe_nothing)], MANY),
    "nameless_use": Mutation(
        "12", "unnamed keys are owed while they are written", [(MarkBook, "keyless", _keyless_in_use)], SLOW_MANY
    ),
    "nameless_wait": Mutation("9", "unnamed keys are not awaited", [(Lane, "synced", _synced_keys)], MANY_READS),
    "paid_since": Mutation("14", "a paid debt is no other's write", [(MemoryServer, "owed_since", _never_owed)], PAID),
    "refused_kept": Mutation("16", "refused marks close", [(MemoryControl, "refuse", _refuse_and_close)], REFUSALS),
    "refused_read": Mutation(
        "8", "reads ignore refusals", [(MemoryServer, "readable", _readable_though_refused)], REFUSED_READS
    ),
    "outbox": Mutation("18", "writes on new leave no mark", [(MemoryServer, "mark_outbox", _no_outbox)], NEW),
    "refuse": Mutation("fleet", "lapsed writers go on", [(Membership, "live_spell", _one_spell)], REFUSES),
    "loops": Mutation("fleet", "one loop's calls are awaited", [(Node, "handle", _handle_of_one_loop)], LOOPS),
    "await_first": Mutation(
        "fleet", "syncs are awaited from the phase on", [(membership, "view_of", _view_awaiting_late)], COMING
    ),
    "leave_first": Mutation(
        "fleet",
        "reads stay while awaiting ends",
        [(membership, "view_of", _view_reading_long), (MemoryServer, "readable", _readable_in_any_epoch)],
        BACK,
    ),
    "fence_all": Mutation(
        "fence", "not everybody is awaited", [(conductor, "members", lambda state, fleet, after: [])], PAUSES
    ),
}
