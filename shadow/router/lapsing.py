"""What a process does on legacy while it cannot renew its lease, where ``on_lapse`` is ``refuse``.

Others account for such a process by time, the settling time after its lease lapsed. So it writes nothing once the lease
may have lapsed, and reads nothing once they may have accounted for it: the authority may have moved by then. Nor does a
call go on that began before such a time, under the view of then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import AutoReconnect

from shadow.runtime.loops import LoopEntity

R = TypeVar("R")

_GLANCE = 0.01


class Guard:
    """Looks at the lease for one call; made before the call takes its view."""

    __slots__ = ("_here", "_known", "_live")

    def __init__(self, here: LoopEntity) -> None:
        self._here = here
        self._live, self._known = _spells(here) if here.refuses else (None, None)

    def write(self) -> None:
        """Let a write go on. Raises `pymongo.errors.AutoReconnect`."""
        if self._here.refuses and (self._live is None or self._live != _spells(self._here)[0]):
            raise self._refusal()

    def read(self) -> None:
        """Let a read go on. Raises `pymongo.errors.AutoReconnect`."""
        if self._here.refuses and (self._known is None or self._known != _spells(self._here)[1]):
            raise self._refusal()

    def writing(self, apply: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
        """A write that looks at the lease when it is made: its mark may have taken long."""
        return _looking(self.write, apply) if self._here.refuses else apply

    def reading(self, apply: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
        """A read that looks at the lease when it is made."""
        return _looking(self.read, apply) if self._here.refuses else apply

    def _refusal(self) -> AutoReconnect:
        name = self._here.entity.name
        return AutoReconnect(f"{name}: this process could not renew its lease, and on_lapse is refuse")


async def first_lease(here: LoopEntity) -> None:
    """Give a process that has just started the time to get its first lease, rather than refuse its first calls."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + here.loop.node.terms.fence_limit
    while here.refuses and loop.time() < limit:
        if _spells(here)[0] is not None:
            return
        await asyncio.sleep(_GLANCE)


def _spells(here: LoopEntity) -> tuple[int | None, int | None]:
    now = asyncio.get_running_loop().time()
    membership = here.loop.node.membership
    return membership.live_spell(now), membership.known_spell(now)


def _looking(look: Callable[[], None], apply: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    async def applied() -> R:
        look()
        return await apply()

    return applied
