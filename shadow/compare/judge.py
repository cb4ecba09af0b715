"""Telling a real mismatch from one that only looks like it: looking again before anybody is alarmed.

A difference proves nothing yet: the write's sync may be under way, the record may be expiring, the authority's answer
may change from call to call. Both sides are read twice more, a moment apart, and the record's marks are asked for
before, between and after. Only what stands still on both sides, differs, and was never marked, is confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shadow.compare.case import Case
from shadow.compare.differ import difference
from shadow.compare.difference import Difference
from shadow.compare.kinds import Call, State
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key

Reread = Callable[[], Awaitable[tuple[Any, Any]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison came to. ``difference`` and ``state`` are None when both sides agree.

    ``key`` is the record's that differs, where it is known: the operation's own, or that of the document in which a
    query's answers differ. ``case`` is what can be replayed of a confirmed one.
    """

    difference: Difference | None = None
    state: State | None = None
    key: Key | None = None
    case: Case | None = None

    @property
    def conclusive(self) -> bool:
        """Whether it says anything about the mismatch rate."""
        return self.state in (None, State.TRANSIENT, State.CONFIRMED)


class Judge:
    """Decides what a difference is.

    Args:
        is_open: whether a mark of the key is open; of None, any mark of the entity, or a debt.
        expiring: whether a value (a document, a list) holds a record that may expire about now.
        pause: seconds between the two times that both sides are read again.
    """

    def __init__(
        self, *, is_open: Callable[[Key | None], Awaitable[bool]], expiring: Callable[[Any], bool], pause: float
    ) -> None:
        self._is_open = is_open
        self._expiring = expiring
        self._pause = pause

    async def verdict(self, call: Call, key: Key | None, authority: Any, follower: Any, reread: Reread) -> Verdict:
        """The verdict on two outcomes of one call. Raises what ``reread`` and ``is_open`` raise."""
        first = difference(call, authority, follower)
        if first is None:
            return Verdict()
        key = _key(first) if key is None else key
        return Verdict(first, await self._state(call, key, first, reread), key)

    async def _state(self, call: Call, key: Key | None, first: Difference, reread: Reread) -> State:
        if await self._in_flight(key, first):
            return State.IN_FLIGHT
        authority, follower = await reread()
        second = difference(call, authority, follower)
        if second is None:
            return State.TRANSIENT
        if self._expiring(first.authority) or self._expiring(first.follower):
            return State.TTL_WINDOW
        await asyncio.sleep(self._pause)
        if await self._in_flight(key, second):
            return State.IN_FLIGHT
        authority_again, follower_again = await reread()
        if difference(call, authority_again, follower_again) is None:
            return State.TRANSIENT
        if difference(call, authority, authority_again) is not None:
            return State.NOISE
        # a follower that changed while the authority stood still has a sync at work on it
        moved = difference(call, follower, follower_again) is not None or await self._in_flight(key, second)
        return State.IN_FLIGHT if moved else State.CONFIRMED

    async def _in_flight(self, key: Key | None, found: Difference) -> bool:
        """Whether a mark of a record that the difference concerns is open.

        Where two records stand in each other's place, the one that moved may be either side's.
        """
        for each in {key, *concerned(found)}:
            if await self._is_open(each):
                return True
        return False


def _key(found: Difference) -> Key | None:
    return key_of(found.id) if found.has_id else None


def concerned(found: Difference) -> set[Key]:
    """The records on both sides of a difference, as far as they are known."""
    sides = (found.authority, found.follower)
    return {key_of(side["_id"]) for side in sides if isinstance(side, Mapping) and "_id" in side}
