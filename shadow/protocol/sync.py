"""sync(key): make the follower's record of a key equal to the authority's.

    capture   the settled marks of the keys cover no further write from here on (in memory), then the keys are locked,
              and the marks that may be closed are read (on control): every write under them was applied before now
    read      the authority's records, under the locks
    put       the follower's records, and the closing of the marks, in one transaction where the follower is PostgreSQL

Every write is followed by a sync that begins after it; syncs of one key are serialized by the key's lock and read the
authority under it; so the last sync copies the last state.

A put outside PostgreSQL cannot be fenced by it, so it has a mark of its own (rule 3), which outlives the sync by the
settling time when nobody knows whether the put was applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from shadow.protocol.lasting import unforeseen
from shadow.protocol.marks import UNSET, Held, MarkBook
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.contract import Captured, Control, Key, Legacy, MarkId, Record, SyncSession
from shadow_adapters.failures import Refused, StoreDown, StoreError
from shadow_flags.phases import Store


class SyncObserver(Protocol):
    """Who is told of syncs: metrics and logs."""

    def synced(self, entity: str, keys: int, seconds: float) -> None: ...

    def refused(self, entity: str, kind: str) -> None: ...

    def failed(self, entity: str, keys: int) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What became of each key of one sync."""

    done: set[Key] = field(default_factory=set)
    refused: dict[Key, str] = field(default_factory=dict)
    failed: dict[Key, str] = field(default_factory=dict)

    def absorb(self, other: Outcome) -> None:
        """Add what another part of the same sync did."""
        self.done |= other.done
        self.refused |= other.refused
        self.failed |= other.failed


class Syncer:
    """Syncs keys for one event loop."""

    def __init__(self, me: UUID, book: MarkBook, control: Control, terms: Terms, observer: SyncObserver) -> None:
        self._me = me
        self._book = book
        self._control = control
        self._terms = terms
        self._observer = observer

    async def sync(
        self, view: View, legacy: Legacy, keys: Sequence[Key], orphans: Mapping[Key, Sequence[MarkId]] | None = None
    ) -> Outcome:
        """Sync the keys; never raises for what a store says.

        ``orphans``: open marks of the keys that nobody else works on; those in this process's own name may be closed
        although its memory does not have them.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome = Outcome()
        pending: list[list[Key]] = [list(dict.fromkeys(keys))]
        tried: set[Key] = set()
        while pending:
            part = pending.pop()
            try:
                outcome.absorb(await self._once(view, legacy, part, orphans or {}))
            except Refused as refusal:
                pending += self._split(view, part, refusal, tried, outcome)
            except StoreError as error:
                outcome.absorb(Outcome(failed=dict.fromkeys(part, str(error))))
            except Exception as error:
                unforeseen("a sync", error)
                if len(part) > 1:  # the record at fault must not hold up the others
                    pending += [[key] for key in part]
                else:
                    outcome.failed[part[0]] = type(error).__name__
        if outcome.refused:
            await self._note(view.entity, outcome.refused, orphans or {})
        if outcome.failed:
            self._observer.failed(view.entity, len(outcome.failed))
        self._observer.synced(view.entity, len(outcome.done), loop.time() - began)
        return outcome

    def _split(
        self, view: View, part: list[Key], refusal: Refused, tried: set[Key], outcome: Outcome
    ) -> list[list[Key]]:
        """What to try next after the follower refused one record of the part.

        With the records that stand in its way put in the same transaction it may pass; alone, the others will.
        """
        if refusal.key is None:
            if len(part) > 1:
                return [[key] for key in part]
            refusal.key = part[0]
        others = [key for key in part if key != refusal.key]
        if refusal.conflicts and refusal.key not in tried:
            tried.add(refusal.key)
            together = [*refusal.conflicts, refusal.key]
            return [[key for key in others if key not in together], list(dict.fromkeys(together))]
        outcome.refused[refusal.key] = f"{refusal.kind}: {refusal.reason}"
        self._observer.refused(view.entity, refusal.kind)
        return [others]

    async def _once(
        self, view: View, legacy: Legacy, keys: Sequence[Key], orphans: Mapping[Key, Sequence[MarkId]]
    ) -> Outcome:
        if not keys:
            return Outcome()
        mine = self._book.capture(view.entity, keys, asyncio.get_running_loop().time())
        session = await self._control.session()
        try:
            if view.authority is Store.LEGACY:
                return await self._to_new(view, legacy, session, mine, orphans)
            return await self._to_legacy(view, legacy, session, mine, orphans)
        finally:
            await session.release()

    async def _to_new(
        self,
        view: View,
        legacy: Legacy,
        session: SyncSession,
        mine: Mapping[Key, Sequence[Held]],
        orphans: Mapping[Key, Sequence[MarkId]],
    ) -> Outcome:
        captured = await session.capture(view.entity, view.term, self._seqs(mine, orphans))
        if captured is None:
            return Outcome(failed=dict.fromkeys(mine, "the authority has moved"))
        states = _known(mine, captured)
        unknown = [key for key in mine if key not in states]
        if unknown:
            found = await legacy.read(unknown)
            states.update({key: found.get(key) for key in unknown})
        closable = [mark for marks in captured.closable.values() for mark in marks]
        if not await session.put(view.entity, view.term, states, closable):
            return Outcome(failed=dict.fromkeys(mine, "the authority has moved"))
        self._book.closed(held for marks in mine.values() for held in marks)
        return Outcome(done=set(mine))

    async def _to_legacy(
        self,
        view: View,
        legacy: Legacy,
        session: SyncSession,
        mine: Mapping[Key, Sequence[Held]],
        orphans: Mapping[Key, Sequence[MarkId]],
    ) -> Outcome:
        puts = {key: self._book.put_mark(view.entity, key) for key in mine}
        try:
            captured = await session.capture(
                view.entity,
                view.term,
                self._seqs(mine, orphans),
                put_marks={key: held.seq for key, held in puts.items()},
            )
        except BaseException:
            self._book.closed(puts.values())
            raise
        if captured is None:
            self._book.closed(puts.values())
            return Outcome(failed=dict.fromkeys(mine, "the authority has moved"))
        outcome = await self._put_all(legacy, puts, captured)
        done = [key for key in mine if key in outcome.done]
        closable = [mark for key in done for mark in captured.closable[key]]
        closable += [MarkId(self._me, puts[key].seq) for key in mine if puts[key].users == 0 and not puts[key].until]
        if not await session.close(closable):
            return Outcome(failed=dict.fromkeys(mine, "the session was lost"))
        self._book.closed(held for key in done for held in mine[key])
        self._book.closed(held for held in puts.values() if not held.until)
        return outcome

    async def _put_all(self, legacy: Legacy, puts: Mapping[Key, Held], captured: Captured) -> Outcome:
        try:
            refused = await legacy.put({key: captured.records.get(key) for key in puts})
        except (Refused, StoreDown) as error:
            self._put_over(puts.values())
            if isinstance(error, Refused):
                raise
            return Outcome(failed=dict.fromkeys(puts, str(error)))
        except BaseException as error:
            self._settle_puts(puts.values())
            if not isinstance(error, Exception):
                raise
            return Outcome(failed=dict.fromkeys(puts, str(error)))
        self._put_over(puts.values())
        return Outcome(
            done=set(puts) - set(refused), refused={key: f"{why.kind}: {why.reason}" for key, why in refused.items()}
        )

    def _put_over(self, puts: Iterable[Held]) -> None:
        """Nothing of the puts will be applied any more."""
        for held in puts:
            held.recorded = True
            self._book.settle(held)

    def _settle_puts(self, puts: Iterable[Held]) -> None:
        """The puts may be applied at any time within the settling time: their marks stay open that long."""
        until = asyncio.get_running_loop().time() + self._terms.settle
        for held in puts:
            held.recorded = True
            if held.users:
                self._book.unsettle(held, until)

    def _seqs(
        self, mine: Mapping[Key, Sequence[Held]], orphans: Mapping[Key, Sequence[MarkId]]
    ) -> dict[Key, list[int]]:
        return {
            key: [held.seq for held in marks] + [mark.seq for mark in orphans.get(key, ()) if mark.owner == self._me]
            for key, marks in mine.items()
        }

    async def _note(self, entity: str, refused: Mapping[Key, str], orphans: Mapping[Key, Sequence[MarkId]]) -> None:
        """Leave refused marks to control, with the reason; memory need not hold what is durable there.

        A key that was synced without a mark (by the backfill, by a verify) gets one: a refused record stays marked.
        """
        mine = self._book.capture(entity, refused, asyncio.get_running_loop().time())
        unmarked = [key for key in refused if not mine[key] and not orphans.get(key)]
        fresh = {key: self._book.put_mark(entity, key) for key in unmarked}
        held = [held for marks in mine.values() for held in marks] + list(fresh.values())
        ids = {MarkId(self._me, mark.seq): refused[mark.key] for mark in held if mark.key is not None}
        ids |= {mark: refused[key] for key in refused for mark in orphans.get(key, ())}
        try:
            if fresh:
                await self._control.mark(self._me, [mark.as_new() for mark in fresh.values()])
            await self._control.refuse(ids)
        except StoreError:
            for mark in fresh.values():
                mark.recorded = True
                self._book.settle(mark)
            return
        self._book.closed(held)


def _known(mine: Mapping[Key, Sequence[Held]], captured: Captured) -> dict[Key, Record | None]:
    """The records that need no second read (rule 14): one write fixed it, and nobody else wrote meanwhile."""
    return {
        key: marks[0].record
        for key, marks in mine.items()
        if len(marks) == 1 and marks[0].writes == 1 and marks[0].record is not UNSET and key in captured.alone
    }
