"""One run of a cursor, from its first batch to its end, on the store that it was opened on.

The driver's cursor keeps its state (what is buffered, whether it lives, how much was retrieved). Where new answers,
only the source of its batches changes, so that everything else about it stays the driver's.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shadow.facade.contract import Opened, Router
from shadow.ops.base import Cursor
from shadow.ops.cursor import CursorRead
from shadow.ops.replies import driver_error
from shadow_adapters.failures import CommandFailure

FIRST_BATCH = 101
"""Documents in a batch where the caller does not say, as MongoDB's first batch."""
KEPT = 1000
"""Documents of one cursor that are kept for comparing."""
NEW_CURSOR_ID = 1
"""What ``cursor_id`` shows of a cursor on new: it has none, but it is open."""


class Delivery:
    """Args: ``core``, PyMongo's cursor; ``op``, its query; ``opened``, the store that answers it. Use `begin`."""

    @classmethod
    async def begin(cls, router: Router, core: Any, op: CursorRead) -> Delivery:
        """Let the router decide where the query runs. Raises what the driver raises where new refuses it."""
        try:
            return cls(core, op, await router.open(op))
        except CommandFailure as failure:
            core._id, core._killed = 0, True
            raise driver_error(failure) from None

    def __init__(self, core: Any, op: CursorRead, opened: Opened) -> None:
        # Not held: a cursor that its caller has forgotten ends at once, and gives back what it holds of new.
        self._cursor = weakref.ref(core)
        self._op = op
        self._observe = opened.observe
        self._new: Cursor | None = opened.cursor
        self._loop = opened.loop
        self._ready: list[dict[str, Any]] = []
        self._seen: list[Any] = []
        self._ended = False
        self._busy = False
        self._given_up = False

    @property
    def _core(self) -> Any:
        return self._cursor()

    async def begun(self) -> None:
        """Fill the buffer of a cursor that is delivered with its first documents, or take note of those."""
        if self._new is not None:
            await self.more(_no_refresh)
            return
        self._keep_legacys()
        if self._core._killed:
            await self._end(complete=True)

    @property
    def open_on_new(self) -> bool:
        """Whether new has more to give, or had when the caller gave it up: the driver, too, keeps that id."""
        return self._new is not None and (self._given_up or not self._ended)

    async def more(self, refresh: Callable[[], Awaitable[Any]]) -> int:
        """Fill the driver's buffer and say how many documents are in it. ``refresh`` is the driver's own way."""
        self._busy = True
        try:
            if self._new is None:
                await refresh()
                self._keep_legacys()
            else:
                await self._from_new(self._new)
        finally:
            self._busy = False
        if not self._ended and self._core._killed:
            await self._end(complete=True)
        return len(self._core._data)

    async def give_up(self) -> None:
        """The caller wants no more. Ignored while the driver tidies up by itself."""
        if not self._ended and not self._busy:
            self._given_up = True
            await self._end(complete=False)

    async def _from_new(self, new: Cursor) -> None:
        core = self._core
        try:
            documents = await self._batch(new, core._batch_size or FIRST_BATCH)
        except BaseException as error:
            core._id, core._killed = 0, True
            await self._end(complete=False)
            if isinstance(error, CommandFailure):
                raise driver_error(error) from None
            raise
        core._data.extend(self._op.driver.natives(documents))
        if hasattr(core, "_retrieved"):  # a command cursor does not count
            core._retrieved += len(documents)
        # Zero, since the driver would kill a cursor that it believes to be open on a server.
        core._id, core._killed = 0, not self._ready
        self._keep(documents)

    async def _batch(self, new: Cursor, wanted: int) -> list[dict[str, Any]]:
        """The caller's next batch. One document more is fetched, which tells whether there will be another."""
        while len(self._ready) <= wanted:
            batch = await new.batch(self._op.driver.patience())
            if not batch:
                break
            self._ready += batch
        documents, self._ready = self._ready[:wanted], self._ready[wanted:]
        return documents

    def _keep_legacys(self) -> None:
        """Keep what legacy has put into the driver's buffer."""
        if self._observe is None:
            return
        try:
            documents = self._op.observed(list(self._core._data))
        except Exception:  # types of the caller's own may have no way back to BSON
            self._observe(None, False)
            self._observe = None
        else:
            self._keep(documents)

    def _keep(self, documents: Sequence[Any]) -> None:
        if self._observe is not None:
            self._seen.extend(documents[: KEPT + 1 - len(self._seen)])

    async def _end(self, complete: bool) -> None:
        self._ended = True
        if self._new is not None:
            await self._new.close()
        if self._observe is not None:
            self._observe(self._seen[:KEPT], complete and len(self._seen) <= KEPT)

    def __del__(self) -> None:
        if self._new is not None and not self._ended and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_close_later, self._new)


async def _no_refresh() -> None:
    """Of a cursor on new the driver has nothing to fetch."""


_CLOSING: set[asyncio.Task[None]] = set()


def _close_later(new: Cursor) -> None:
    async def close() -> None:
        await new.close()

    task = asyncio.get_running_loop().create_task(close())
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)
