"""One configured collection's router: from a façade's operation to the store, in three hops.

router    which store, under which view; what is counted and compared
protocol  mark, write, sync around a write on legacy; the terms of a read on new
engine    the command on PostgreSQL; on legacy the driver's own method
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from shadow.metrics.record import OperationRecord
from shadow.metrics.table import UNSUPPORTED
from shadow.metrics.tally import Tally
from shadow.ops.alter import AlterOp
from shadow.ops.base import Op, ReadOp, WriteOp
from shadow.ops.cursor import CursorRead
from shadow.protocol.view import View
from shadow.router import altering, lapsing, reading, writing
from shadow.router.company import Company
from shadow.router.cursor import Opened
from shadow.runtime.loops import LoopEntity
from shadow_adapters.mongo.outcomes import Outcome, outcome_of

if TYPE_CHECKING:
    from shadow.runtime.runtime import Runtime

R = TypeVar("R")

ROUTERS: weakref.WeakSet[Router] = weakref.WeakSet()
"""All routers of this process: a child after a fork makes them forget its parent's event loops."""


class Router:
    """The router of one collection; serves every event loop of the process.

    Args:
        runtime: gives the process's runtime (another one after a fork).
        name: the entity.
    """

    def __init__(self, runtime: Callable[[], Runtime], name: str) -> None:
        self._runtime = runtime
        self.entity = name
        self._loops: dict[asyncio.AbstractEventLoop, LoopEntity] = {}
        self._view: Callable[[], View] | None = None
        self._refuses = False
        self.direct = Tally()
        ROUTERS.add(self)

    @property
    def quiet(self) -> bool:
        """True while nothing but legacy has a part in any call, nor a lease in whether it is made."""
        view = self._view
        return view is not None and not self._refuses and view().quiet

    async def read(self, op: ReadOp[R]) -> R:
        """The answer of the store whose turn it is."""
        here = await self._here()
        return await self._measured(here, op, reading.read(here, here.loop, op))

    async def write(self, op: WriteOp[R]) -> R:
        """Make the write where the authority is."""
        here = await self._here()
        return await self._measured(here, op, writing.write(here, here.loop, op))

    async def open(self, op: CursorRead) -> Opened:
        """Choose the store of a cursor; it stays there.

        Raises `CommandFailure` where new answers and refuses it, or where no store has all that it reads.
        """
        here = await self._here()
        return await reading.open_cursor(here, here.loop, op, self._company(here, op))

    async def alter(self, op: AlterOp[R]) -> R:
        """Alter the collection itself, or look at its indexes, where the authority is."""
        here = await self._here()
        return await self._measured(here, op, altering.alter(here, here.loop, op))

    async def apart(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a call in a task, which has a stack of its own."""
        return await asyncio.get_running_loop().create_task(call())

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
        """Run what the driver does of itself with this collection. Raises `LedByNew` where new is the authority."""
        here = await self._here()
        return await writing.on_legacy(here, here.loop, writes, call)

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[R]]) -> R:
        """Run a method that new does not serve yet, counted by its name."""
        here = await self._here()
        if not here.handle.view().quiet:
            here.entity.count_unsupported(name)
            here.loop.sink.add(UNSUPPORTED, (self.entity, name))
        return await writing.unserved(here, here.loop, name, writes, on_legacy)

    async def meet(self) -> None:
        """Learn the entity's phase, if this is the first call in the running loop."""
        await self._here()

    def met(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether a loop has met the entity."""
        return loop in self._loops

    def begin(self, loop: asyncio.AbstractEventLoop | None = None) -> tuple[LoopEntity, View] | None:
        """Count a write that goes to legacy directly; None where it must be routed after all. `end` ends it.

        ``loop``: the one that serves the calling thread, where that is not the running one.
        """
        here = self._loops.get(loop or asyncio.get_running_loop())
        if here is None:
            return None
        view = here.handle.begin_quiet()
        return None if view is None else (here, view)

    def end(self, begun: tuple[LoopEntity, View], error: BaseException | None) -> None:
        """The direct write has ended. One that may still be applied counts as in flight for the settling time."""
        here, view = begun
        if error is not None and outcome_of(error) is Outcome.UNKNOWN:
            here.handle.leave_later(view)
        else:
            here.handle.leave(view)

    def reset(self) -> None:
        """Forget everything that belongs to a process that was forked from."""
        self._loops = {}
        self._view = None

    async def _here(self) -> LoopEntity:
        """This entity in the running loop, ready to be used."""
        loop = asyncio.get_running_loop()
        here = self._loops.get(loop)
        if here is None:
            runtime = self._runtime()
            here = (await runtime.loop()).add(runtime.entities[self.entity])
            await lapsing.first_lease(here)
            self.direct = here.entity.direct
            self._refuses, self._view = here.refuses, here.handle.view
            self._loops = {known: each for known, each in self._loops.items() if not known.is_closed()}
            self._loops[loop] = here
        if not here.handle.view().known:
            await self._runtime().refuse_armed(here)
        return here

    def _company(self, here: LoopEntity, op: CursorRead) -> Company:
        """The other collections that an operation reads, as this loop knows them."""
        runtime, members = self._runtime(), {}
        for collection in op.others:
            settings = runtime.settings.entity_for(here.entity.database, collection)
            if settings is not None and settings.name == self.entity:
                continue
            members[collection] = None if settings is None else here.loop.add(runtime.entities[settings.name])
        return Company(members, here.loop.node.terms)

    async def _measured(self, here: LoopEntity, op: Op[R], answer: Awaitable[reading.Answered[R]]) -> R:
        """Record what the caller waited, for whom and how it ended."""
        began = perf_counter()
        view = here.handle.view()
        try:
            answered = await answer
        except BaseException as error:
            seconds, outcome = perf_counter() - began, _outcome(error)
            record = OperationRecord(self.entity, op.name, view.phase, view.authority.value, outcome, seconds)
            here.loop.sink.operation(record)
            raise
        value, store, phase, mark_seconds, sync_seconds = answered
        seconds = perf_counter() - began
        here.entity.took(store, op.name, seconds)
        here.loop.sink.operation(
            OperationRecord(self.entity, op.name, phase, store, "ok", seconds, mark_seconds, sync_seconds)
        )
        return value


def _outcome(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "failed" if outcome_of(error) is Outcome.UNKNOWN else "refused"
