"""A transaction of the application, as one unit of marks and of one store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from shadow.protocol.handle import Handle
from shadow.protocol.lane import Lane
from shadow.protocol.marks import Held
from shadow.protocol.view import View
from shadow.protocol.writes import Fate
from shadow_adapters.contract import Key


class Unit(Protocol):
    """Everything that one transaction of a session did, from its first operation to its end.

    A unit stays on the store that its first operation went to, across any step.
    """

    async def read(self, op: Any) -> Any:
        """A read inside the transaction."""

    async def write(self, op: Any) -> Any:
        """A write inside the transaction."""

    async def open(self, op: Any) -> Any:
        """A cursor inside the transaction."""

    async def commit(self, on_legacy: Callable[[], Awaitable[Any]], patience: Any) -> None:
        """Commit on the unit's store (``on_legacy`` runs the driver's own commit), then settle and sync its marks.

        An outcome that nobody knows leaves the marks unsettled. ``patience``: how long the caller waits for new
        (`shadow.ops.patience.Patience`), as of `abort`.
        """

    async def abort(self, on_legacy: Callable[[], Awaitable[Any]], patience: Any) -> None:
        """Abort; the marks are dropped."""


class MarkedUnit:
    """What a transaction on legacy has entered and marked, from its first operation to its end.

    Every key is marked before it is written, and the marks stay in use until the transaction has ended, so that no sync
    can close them before its state can be read.
    """

    def __init__(self) -> None:
        self._handles: list[Handle] = []
        self._entered: list[tuple[Handle, View]] = []
        self._marks: list[Held] = []
        self._doubtful: list[Held] = []
        self._lane: Lane | None = None
        self._marked_at = 0.0

    def enter(self, handle: Handle, view: View) -> None:
        """Take over a call that has entered the handle: it ends with the transaction."""
        self._handles.append(handle)
        self._entered.append((handle, view))

    async def mark(self, lane: Lane, handle: Handle, keys: Sequence[Key | None]) -> None:
        """Mark what is about to be written (None: keys that nobody will name)."""
        self._lane = lane
        self._marks += await lane.marker.mark(handle.view, keys)
        self._marked_at = asyncio.get_running_loop().time()

    async def commit(self, apply: Callable[[], Awaitable[Any]], fate: Callable[[BaseException], Fate]) -> None:
        """Commit by ``apply``, then settle the marks and queue their syncs; in `read_new`, await them (rule 9).

        A commit whose outcome nobody knew may be repeated. Its marks stay unsettled, so the repetition returns only
        once no read trusts new past them any more.

        Raises whatever ``apply`` raises; ``fate`` says what that means.
        """
        try:
            await apply()
        except BaseException as error:
            self.end(fate(error))
            raise
        owing = self._settle(Fate.SOME) + self._doubtful
        try:
            if self._lane is not None and any(handle.view().awaits for handle in self._handles):
                await self._lane.synced(owing, until=self._marked_at + self._lane.terms.sync_timeout)
        finally:
            self._leave(Fate.SOME)

    def end(self, fate: Fate) -> None:
        """The transaction has ended, and nobody waits for its syncs."""
        self._settle(fate)
        self._leave(fate)

    def _settle(self, fate: Fate) -> list[Held]:
        marks, self._marks = self._marks, []
        lane = self._lane
        if lane is None or not marks:
            return marks
        if fate is Fate.NOTHING:
            lane.drop(marks)
            return marks
        until = 0.0
        if fate is Fate.UNKNOWN:
            until = lane.settled_at()
            self._doubtful += marks
        for held in marks:
            lane.book.unsettle(held, until)
        lane.enqueue(marks)
        return marks

    def _leave(self, fate: Fate) -> None:
        entered, self._entered = self._entered, []
        for handle, view in entered:
            if fate is Fate.UNKNOWN and not view.marks:
                handle.leave_later(view)
            else:
                handle.leave(view)
