"""Synchronous calls from the asynchronous source: a façade's coroutine runs in the caller's thread, and never suspends.

Only what its router does happens elsewhere, in Shadow's own loop, and the caller's thread waits for it there
(`shadow.runtime.portal`). So the caller's arguments, iterators and sessions are used in the thread that they belong to.
While the router is quiet nothing leaves that thread at all.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, TypeVar, cast

from shadow.facade.contract import Opened, Router
from shadow.facade.forward import session_in
from shadow.facade.seat import Seat
from shadow.metrics.tally import Tally
from shadow.ops.alter import AlterOp
from shadow.ops.base import Cursor, ReadOp, WriteOp
from shadow.ops.cursor import CursorRead
from shadow.ops.patience import Patience
from shadow.runtime.portal import Portal, portal

M = TypeVar("M", bound=Callable[..., Any])
R = TypeVar("R")


def at_once(coroutine: Coroutine[Any, Any, R]) -> R:
    """What a coroutine of a façade comes to, whose router waits instead of suspending it."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        result: R = ended.value
        return result
    coroutine.close()
    raise AssertionError("a synchronous call waits in its router and nowhere else")


def waited(method: Callable[..., Any], directly: M, writes: bool | None) -> M:
    """A coroutine method as one of the synchronous driver's, with the driver's signature.

    Args:
        directly: the driver's own method, for a quiet router.
        writes: whether the method changes records of its collection; None where more than its own router decides.
    """

    @wraps(directly)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        seat: Seat = self._seat
        if writes is not None and seat.quiet(session_in(args, kwargs)):
            if not writes:
                return directly(seat.driver.core, *args, **kwargs)
            begun = seat.router.begin()
            if begun is not None:
                return _counted(seat.router, begun, partial(directly, seat.driver.core, *args, **kwargs))
        return at_once(method(self, *args, **kwargs))

    return cast("M", call)


def awaitable(method: M) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The driver's method for the façade's coroutines, which call it on their seat's collection."""

    @wraps(method)
    async def call(collection: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(collection, method.__name__)(*args, **kwargs)

    return call


def as_awaited(call: Callable[[], R]) -> Callable[[], Coroutine[Any, Any, R]]:
    """A call of the driver for the façade's coroutines."""

    async def awaited() -> R:
        return call()

    return awaited


def _counted(router: Router, begun: Any, directly: Callable[[], Any]) -> Any:
    try:
        answer = directly()
    except BaseException as error:
        router.end(begun, error)
        raise
    router.end(begun, None)
    return answer


class WaitingRouter:
    """A router for callers without a loop (`shadow.facade.contract.Router`): its coroutines block, and never suspend.

    Args:
        router: the runtime's, which works in an event loop.
    """

    def __init__(self, router: Any) -> None:
        self._router = router

    @property
    def direct(self) -> Tally:
        tally: Tally = self._router.direct
        return tally

    @property
    def quiet(self) -> bool:
        quiet: bool = self._router.quiet
        return quiet

    async def meet(self) -> None:
        if not self._router.met(portal().loop):
            portal().run(self._router.meet())

    def begin(self) -> Any | None:
        return self._router.begin(portal().loop)

    def end(self, begun: Any, error: BaseException | None) -> None:
        if error is None:
            self._router.end(begun, None)
        else:  # the call may have to be counted for a while, which a loop does
            portal().soon(self._router.end, begun, error)

    async def read(self, op: ReadOp[R]) -> R:
        answer: R = portal().run(self._router.read(op))
        return answer

    async def write(self, op: WriteOp[R]) -> R:
        answer: R = portal().run(self._router.write(op))
        return answer

    async def open(self, op: CursorRead) -> Opened:
        found = portal()
        return WaitingOpened(found, found.run(self._router.open(op)))

    async def alter(self, op: AlterOp[R]) -> R:
        answer: R = portal().run(self._router.alter(op))
        return answer

    async def apart(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        with ThreadPoolExecutor(1, "shadow-apart") as thread:
            return thread.submit(contextvars.copy_context().run, at_once, call()).result()

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
        found = portal()
        answer: R = found.run(self._router.on_legacy(writes, _posted(found, call)))
        return answer

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[R]]) -> R:
        found = portal()
        answer: R = found.run(self._router.other(name, writes, _posted(found, on_legacy)))
        return answer


class WaitingOpened:
    """A cursor's store (`shadow.facade.contract.Opened`), used from the caller's thread."""

    def __init__(self, found: Portal, opened: Opened) -> None:
        self.cursor: Cursor | None = None if opened.cursor is None else WaitingCursor(found, opened.cursor)
        self.observe = None if opened.observe is None else partial(found.soon, opened.observe)
        self.loop = found.loop


class WaitingCursor:
    """New's cursor, whose connection is the loop's. It stays with the process that has opened it."""

    def __init__(self, found: Portal, cursor: Cursor) -> None:
        self._portal = found
        self._cursor = cursor

    async def batch(self, patience: Patience | None = None) -> list[dict[str, Any]]:
        return self._portal.run(self._cursor.batch(patience))

    async def close(self) -> None:
        closing = self._cursor.close()
        if self._portal.here:  # one that was forgotten is closed by the loop itself
            await closing
        else:
            self._portal.run(closing)


def _posted(found: Portal, call: Callable[[], Awaitable[R]]) -> Callable[[], Awaitable[R]]:
    """A call of the driver for the router's loop, made by the thread that waits."""
    return found.posted(lambda: at_once(_awaited(call)))


async def _awaited(call: Callable[[], Awaitable[R]]) -> R:
    return await call()
