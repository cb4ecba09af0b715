"""One entity as one event loop sees it: its view, and the calls in flight under each epoch.

A process acknowledges an epoch when no call that began under an older one is in flight (`Handle.older`). The order
below matters across threads: a call first counts itself, then looks at the view again; the control thread first
publishes the view, then looks at the counts. One of the two sees the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

from shadow.protocol.settings import Terms
from shadow.protocol.view import View
from shadow_adapters.failures import StoreDown

_GLANCE = 0.003


class Handle:
    """An entity in one event loop, and in the threads whose synchronous calls that loop serves."""

    def __init__(self, entity: str, views: Mapping[str, View], terms: Terms) -> None:
        self.entity = entity
        self._views = views
        self._terms = terms
        self._running: dict[int, int] = {}
        self._counting = threading.Lock()

    def view(self) -> View:
        """The view now."""
        return self._views[self.entity]

    async def enter(self) -> View:
        """Begin a call: its view, once no fence holds it. Every `enter` needs a `leave`.

        Raises:
            StoreDown: a fence was neither moved nor lifted within the limit (PostgreSQL is lost behind it).
        """
        while True:
            view = self._views[self.entity]
            if not view.holding:
                self._count(view)
                if self._views[self.entity] is view:
                    return view
                self.leave(view)
                continue
            await self._held(view)

    def begin_quiet(self) -> View | None:
        """Begin a call that goes to legacy directly; None where nothing but legacy is no longer all there is."""
        view = self._views[self.entity]
        if not view.quiet:
            return None
        self._count(view)
        if self._views[self.entity] is view:
            return view
        self.leave(view)
        return None

    async def _held(self, view: View) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + self._terms.fence_limit
        while self._views[self.entity].holding:
            if loop.time() > limit:
                raise StoreDown(f"{self.entity}: the fence was neither moved nor lifted")
            await asyncio.sleep(_GLANCE)

    def leave(self, view: View) -> None:
        """The call that began under this view has ended."""
        with self._counting:
            left = self._running[view.epoch] - 1
            if left:
                self._running[view.epoch] = left
            else:
                del self._running[view.epoch]

    def leave_later(self, view: View) -> None:
        """The call may still be applied within the settling time; it counts as in flight that long."""
        asyncio.get_running_loop().call_later(self._terms.settle, self.leave, view)

    def _count(self, view: View) -> None:
        with self._counting:
            self._running[view.epoch] = self._running.get(view.epoch, 0) + 1

    def older(self, epoch: int) -> bool:
        """Whether a call that began under an older epoch is in flight."""
        return any(began < epoch for began in list(self._running))
