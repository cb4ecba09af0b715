"""The reconciler: syncs what nobody else will.

* open marks of processes that are gone, of the outbox, refused ones that are due again, and marks in this process's own
  name that its memory does not have (an upload that raced a sync);
* marks of this process that a sync failed to close, with a pause that doubles while syncs of the entity fail;
* keyless marks whose writer is gone, or whose write has ended without naming a key (it touched too many), become a
  debt: nobody knows their keys;
* debts, by a verify, once the writes that they cover are surely applied;
* a change of legacy's election or replication id is a debt: writes that it had acknowledged, and that new has, may be
  gone from it.

Any process may reconcile anything: a key's lock serializes its syncs. Who reconciles beside the conductor only repeats.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from shadow.protocol.lane import Lane
from shadow.protocol.marks import MarkBook
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.contract import Control, Debt, Key, Legacy, MarkId, NewDebt, OpenMark
from shadow_adapters.failures import StoreError
from shadow_flags.phases import Phase

_LIMIT = 1000
_LONGEST_PAUSE = 30.0
_IDENTITY = "identity"
_IDENTITY_EVERY = 5.0
_PATIENCE = 10
"""Renewals after which others take care of what the conductor has left."""
_GRACE = 1.5
"""Sync delays within which the process of a writer on new has begun to sync what its outbox has marked."""


class Reconciler:
    """Repairs in the background, in the control thread.

    Args:
        leads: whether this process conducts, and so also takes care of what belongs to nobody.
        now: PostgreSQL's clock, None while it is not known.
        verify: makes an entity's stores equal and says whether that succeeded (`shadow.protocol.verify`).
    """

    def __init__(
        self,
        me: UUID,
        lane: Lane,
        book: MarkBook,
        control: Control,
        terms: Terms,
        views: Mapping[str, View],
        leads: Callable[[], bool],
        now: Callable[[], float | None],
        legacy: Callable[[str], Legacy],
        verify: Callable[[str], Awaitable[Mapping[str, object] | None]],
    ) -> None:
        self._me = me
        self._lane = lane
        self._book = book
        self._control = control
        self._terms = terms
        self._views = views
        self._leads = leads
        self._now = now
        self._legacy = legacy
        self._verify = verify
        self._identities: dict[str, str] = {}
        self._look_again = 0.0
        self._resting: set[str] = set()
        self._synced = 0
        self._chores_at = 0.0
        self._pause: dict[str, tuple[float, float]] = {}  # until when (loop time), and how long that is

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            self._synced = 0
            try:
                await self.turn()
            except (StoreError, TimeoutError):
                pass
            # Where new is the authority, every key comes this way: no pause while there are more.
            await asyncio.sleep(self._terms.sync_delay if self._synced else self._terms.renew / 2)

    async def turn(self) -> None:
        """Look once for everything that is to be synced, owed or paid. Raises `StoreError`."""
        await self._own()
        await self._orphans()
        now = asyncio.get_running_loop().time()
        if now >= self._chores_at:
            await self._chores(self._leads())
            self._chores_at = now + (self._terms.renew / 2 if self._leads() else self._terms.renew * _PATIENCE / 2)

    async def _chores(self, leads: bool) -> None:
        """What the conductor does; of which the others only pay debts that it has not paid for long."""
        following = [entity for entity, view in self._views.items() if view.follows and view.known]
        if leads:
            await self._recognize(following)
            await self._control.purge(self._terms.retention)
            await self._rest()
        for entity in following:
            await self._pay(entity, 0.0 if leads else _PATIENCE * self._terms.renew)

    async def _rest(self) -> None:
        """Let outboxes rest that have nothing to do any more."""
        for entity, view in self._views.items():
            if view.phase is Phase.NEW and entity not in self._resting and await self._control.rest_outbox(entity):
                self._resting.add(entity)

    async def _own(self) -> None:
        loop = asyncio.get_running_loop()
        await self._idle()
        await self._nameless(loop.time())
        by_entity: dict[str, list[Key]] = defaultdict(list)
        for entity, key in self._book.due(loop.time(), self._terms.renew):
            by_entity[entity].append(key)
        for entity, keys in by_entity.items():
            if self._views[entity].follows and loop.time() >= self._pause.get(entity, (0.0, 0.0))[0]:
                await self._sync(entity, keys, {})

    async def _idle(self) -> None:
        """Close this process's marks of entities that have no follower (any more)."""
        idle = [h for h in self._book.settled() if (v := self._views.get(h.entity)) and v.known and not v.follows]
        if idle:
            await self._control.close([MarkId(self._me, held.seq) for held in idle])
            self._book.closed(idle)

    async def _nameless(self, now: float) -> None:
        """Keyless marks whose write is over, or whose outcome nobody learned in time: nobody will name their keys."""
        held = self._book.keyless(now)
        marks = [OpenMark(MarkId(self._me, h.seq), h.entity, None, h.opened_at or 0.0) for h in held]
        await self._owe(marks)
        self._book.closed(held)

    async def _orphans(self) -> None:
        found: dict[str, dict[Key, list[MarkId]]] = defaultdict(lambda: defaultdict(list))
        keyless: list[OpenMark] = []
        idle: list[MarkId] = []
        for mark in await self._control.orphans(self._me, limit=_LIMIT):
            if mark.entity not in self._views or not self._nobodys(mark):
                continue
            view = self._views[mark.entity]
            if view.known and not view.follows:
                idle.append(mark.id)
            elif mark.key is None:
                keyless.append(mark)
            elif view.follows:
                found[mark.entity][mark.key].append(mark.id)
        if idle:
            await self._control.close(idle)
        await self._owe(keyless)
        for entity, orphans in found.items():
            await self._sync(entity, list(orphans), orphans)

    def _nobodys(self, mark: OpenMark) -> bool:
        """Whether nobody takes care of the mark already.

        Marks of others are the conductor's, unless it seems unable: it may not reach legacy. The process of a writer on
        new is about to sync the outbox's newest.
        """
        if mark.id.owner == self._me:
            return not self._book.knows(mark.id.seq)
        now = self._now()
        patience = _GRACE * self._terms.sync_delay if self._leads() else _PATIENCE * self._terms.renew
        return now is not None and now - mark.opened_at > patience

    async def _owe(self, keyless: Sequence[OpenMark]) -> None:
        """Nobody will ever name these marks' keys: the entity owes a verify since the oldest of them."""
        by_entity: dict[str, list[OpenMark]] = defaultdict(list)
        for mark in keyless:
            by_entity[mark.entity].append(mark)
        for entity, marks in by_entity.items():
            since = min(mark.opened_at for mark in marks)
            await self._control.owe([NewDebt(entity, "records were written whose keys are not known", since)])
            await self._control.close([mark.id for mark in marks])

    async def _sync(self, entity: str, keys: Sequence[Key], orphans: Mapping[Key, Sequence[MarkId]]) -> None:
        size = self._terms.sync_batch
        failed = False
        for start in range(0, len(keys), size):
            part = keys[start : start + size]
            outcome = await self._lane.sync(entity, part, {key: orphans[key] for key in part if key in orphans})
            self._synced += len(outcome.done)
            failed = failed or bool(outcome.failed)
            if failed and not outcome.done:
                break  # the store is down; where only some fail, the others must not wait for them
        if failed:
            self._back_off(entity)
        else:
            self._pause.pop(entity, None)

    def _back_off(self, entity: str) -> None:
        _, last = self._pause.get(entity, (0.0, 0.0))
        pause = min(max(2 * last, self._terms.renew / 2), _LONGEST_PAUSE)
        self._pause[entity] = (asyncio.get_running_loop().time() + pause, pause)

    async def _recognize(self, entities: Sequence[str]) -> None:
        """Compare legacy's identity with the one that was known, now and then."""
        now = asyncio.get_running_loop().time()
        if now < self._look_again:
            return
        self._look_again = now + _IDENTITY_EVERY
        for entity in entities:
            found = await self._legacy(entity).identity()
            known = self._identities.get(entity)
            if known is None:
                kept = await self._control.load_job(entity, _IDENTITY)
                known = found if kept is None else str(kept["id"])
            if known != found:
                reason = "legacy has elected anew: acknowledged writes may be gone from it"
                await self._control.owe([NewDebt(entity, reason, settle=self._terms.settle)])
            if known != found or entity not in self._identities:
                await self._control.save_job(entity, _IDENTITY, {"id": found})
            self._identities[entity] = found

    async def _pay(self, entity: str, patience: float) -> None:
        debts: list[Debt] = await self._control.debts(entity)
        now = self._now()
        payable = [debt.id for debt in debts if now is not None and now >= debt.payable_at + patience]
        if payable and (evidence := await self._verify(entity)) is not None:
            await self._control.pay(payable, evidence)
