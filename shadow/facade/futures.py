"""Motor's methods start at once and return a future, whether anybody awaits it or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, TypeVar, cast

from shadow.facade.forward import session_in
from shadow.facade.seat import Seat

M = TypeVar("M", bound=Callable[..., Any])
R = TypeVar("R")

_RUNNING: set[asyncio.Task[Any]] = set()


def start(io_loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    """Run on the client's loop. The task is kept until it is done, since the caller need not keep it."""
    task = io_loop.create_task(coroutine)
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    return task


def future(method: M, directly: Callable[..., Any], writes: bool | None) -> M:
    """A routed coroutine method as one of Motor's, with Motor's signature.

    It is typed as a coroutine, as Motor's own stubs type what returns a future.

    Args:
        directly: the driver's own method, for a quiet router.
        writes: whether the method changes records of its collection; None where more than its own router decides.
    """

    @wraps(directly)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        seat: Seat = self._seat
        if writes is not None and seat.quiet(session_in(args, kwargs)):
            if not writes:
                return directly(seat.driver.collection, *args, **kwargs)
            begun = seat.router.begin()
            if begun is not None:
                return _counted(seat, begun, partial(directly, seat.driver.collection, *args, **kwargs))
        return start(self.get_io_loop(), method(self, *args, **kwargs))

    return cast("M", call)


def _counted(seat: Seat, begun: Any, directly: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
    try:
        answer = directly()
    except BaseException as error:
        seat.router.end(begun, error)
        raise
    answer.add_done_callback(partial(seat.ended, begun))
    return answer
