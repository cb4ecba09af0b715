"""A read, and the store that may answer it.

While legacy is the authority and the view lets new answer (``read_new``), one statement on PostgreSQL reads the record
together with the epoch, the leases, the debts and the marks (`Fence`); where they do not vouch for new, legacy answers.
Losing PostgreSQL is no error then: legacy is the authority of this view, and the authority cannot move without this
process's acknowledgement.

Where new is the authority, an epoch that moved means that this process's view is behind: it waits for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shadow.protocol.handle import Handle
from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.contract import Fence
from shadow_adapters.failures import EpochMoved, NotReadable, StoreDown
from shadow_flags.phases import Phase, Store

T = TypeVar("T")

_GLANCE = 0.005


async def read(
    handle: Handle,
    terms: Terms,
    *,
    wants_new: Callable[[View], bool],
    on_new: Callable[[Fence | None], Awaitable[T]],
    on_legacy: Callable[[], Awaitable[T]],
    late: Callable[[], None],
) -> tuple[T, Store, View]:
    """The answer, the store that gave it, and the view that it was given under.

    Args:
        wants_new: whether the route of this read asks for new, where both stores may answer.
        late: told where new took so long that legacy was asked instead.

    Raises what the answering store raises; `StoreDown` where new is the authority and cannot be reached.
    """
    while True:
        view = await handle.enter()
        try:
            if not view.reads_new:
                return await on_legacy(), Store.LEGACY, view
            if view.authority is Store.LEGACY:
                return *await _vouched(handle, terms, view, wants_new, on_new, on_legacy, late), view
            return await on_new(read_fence(view, terms)), Store.NEW, view
        except (NotReadable, EpochMoved):
            pass
        finally:
            handle.leave(view)
        await behind(handle, view, terms)


async def _vouched(
    handle: Handle,
    terms: Terms,
    view: View,
    wants_new: Callable[[View], bool],
    on_new: Callable[[Fence | None], Awaitable[T]],
    on_legacy: Callable[[], Awaitable[T]],
    late: Callable[[], None],
) -> tuple[T, Store]:
    if wants_new(view):
        try:
            async with asyncio.timeout(terms.sync_timeout):
                return await on_new(read_fence(view, terms)), Store.NEW
        except (NotReadable, StoreDown):
            pass
        except TimeoutError:
            late()
    return await on_legacy(), Store.LEGACY


def read_fence(view: View, terms: Terms) -> Fence | None:
    """The terms of a read on new under this view; none in ``new``, where nothing can move any more."""
    if view.phase is Phase.NEW:
        return None
    stale_after = terms.sync_timeout if view.authority is Store.LEGACY else None
    return Fence(view.entity, view.epoch, stale_after)


def write_fence(view: View) -> Fence | None:
    """The terms of a write on new under this view."""
    return None if view.phase is Phase.NEW else Fence(view.entity, view.term)


async def behind(handle: Handle, view: View, terms: Terms) -> None:
    """Wait for a newer view than this one.

    Raises:
        StoreDown: none came within the limit, so PostgreSQL is not reached by this process's control.
    """
    limit = asyncio.get_running_loop().time() + terms.fence_limit
    while handle.view().epoch == view.epoch:
        if asyncio.get_running_loop().time() > limit:
            raise StoreDown(f"{view.entity}: PostgreSQL has moved on, and control is not reached")
        await asyncio.sleep(_GLANCE)
