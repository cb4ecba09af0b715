"""What a process does on legacy while it cannot renew its lease, where ``on_lapse`` is ``refuse``.

Others account for such a process by time, the settling time after its lease lapsed. So it writes nothing once the lease
may have lapsed, and reads nothing once they may have accounted for it: the authority may have moved by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import AutoReconnect

from shadow.runtime.loops import LoopEntity

R = TypeVar("R")

_GLANCE = 0.01


def refuse_write(here: LoopEntity) -> None:
    """Refuse a write of a process whose lease may have lapsed. Raises `pymongo.errors.AutoReconnect`."""
    _refuse(here, 0.0)


def refuse_read(here: LoopEntity) -> None:
    """Refuse a read of a process that may have been accounted for. Raises `pymongo.errors.AutoReconnect`."""
    _refuse(here, here.loop.node.terms.settle)


async def first_lease(here: LoopEntity) -> None:
    """Give a process that has just started the time to get its first lease, rather than refuse its first calls."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + here.loop.node.terms.fence_limit
    while here.refuses and loop.time() < limit:
        if here.loop.node.membership.surely_live(loop.time()):
            return
        await asyncio.sleep(_GLANCE)


def writing(here: LoopEntity, apply: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    """A write that looks at the lease when it is made: its mark may have taken long."""
    return _looking(here, refuse_write, apply)


def reading(here: LoopEntity, apply: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    """A read that looks at the lease when it is made."""
    return _looking(here, refuse_read, apply)


def _looking(
    here: LoopEntity, look: Callable[[LoopEntity], None], apply: Callable[[], Awaitable[R]]
) -> Callable[[], Awaitable[R]]:
    async def applied() -> R:
        look(here)
        return await apply()

    return applied if here.refuses else apply


def _refuse(here: LoopEntity, patience: float) -> None:
    now = asyncio.get_running_loop().time()
    if here.refuses and not here.loop.node.membership.surely_live(now - patience):
        raise AutoReconnect(f"{here.entity.name}: this process could not renew its lease, and on_lapse is refuse")
