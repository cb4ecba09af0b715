"""How long new may take to answer a call: what the caller gave it, as the driver holds MongoDB to it.

What is late is cut off with its connection, so that not even a server that is frozen holds a caller: a statement that
is cancelled would wait for the server's word, and so would a rollback.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from shadow.ops.patience import Patience
from shadow_adapters.failures import CommandFailure, OutOfTime, StoreDown
from shadow_adapters.postgres.errors import mapped
from shadow_adapters.postgres.pool import Connection, Pool

_GRACE: Final = 1.0
"""Seconds beyond ``maxTimeMS`` in which PostgreSQL has to say that the time is up."""
_LOOK: Final = 0.2
_OF_THE_WAIT: Final = 0.95
"""How much of the time that the caller waits a read may work; the driver leaves out the time of a round trip."""


def latest(patience: Patience | None, command: Mapping[str, Any] | None) -> float | None:
    """The loop's time after which the caller waits no longer for an answer that it asks for now; None for never.

    Raises `CommandFailure` 50 where it waits no more already, as the driver then asks nothing.
    """
    seconds = math.inf if patience is None else patience.left
    if seconds <= 0:
        raise CommandFailure(50, "operation would exceed time limit")
    most = None if command is None else command.get("maxTimeMS")
    if isinstance(most, int | float) and most > 0:
        seconds = min(seconds, most / 1000 + _GRACE)
    return None if seconds == math.inf else asyncio.get_running_loop().time() + seconds


def timed(patience: Patience | None, command: Mapping[str, Any]) -> dict[str, Any]:
    """A read's command, whose work ends before its caller waits no longer, as the driver has it with a deadline."""
    if patience is None or patience.deadline == math.inf:
        return dict(command)
    most = max(1, int(1000 * _OF_THE_WAIT * patience.left))
    return {**command, "maxTimeMS": min(most, command.get("maxTimeMS") or most)}


@asynccontextmanager
async def lent(pool: Pool, until: float) -> AsyncIterator[Connection]:
    """A connection of the pool for an answer that must be there in time. Raises `OutOfTime`, beside `Pool`'s."""
    async with AsyncExitStack() as stack:
        conn = await taken(stack, pool, until)
        with answering(conn, until):
            yield conn


async def taken(stack: AsyncExitStack, pool: Pool, until: float | None) -> Connection:
    """A connection that the stack gives back. Raises `OutOfTime`, beside `Pool`'s."""
    try:
        async with asyncio.timeout_at(until) as scope:
            return await stack.enter_async_context(pool.connection())
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise OutOfTime("no connection was free") from error


@contextmanager
def while_live(conn: Connection, lapsed: Callable[[], bool] | None) -> Iterator[None]:
    """What is asked of a connection where legacy is the authority, and a caller must not wait for PostgreSQL for ever:
    it is cut off once the process's own lease has ``lapsed``, since nothing comes from there. None: never."""
    if lapsed is None:
        yield
        return
    loop = asyncio.get_running_loop()
    looks: list[asyncio.TimerHandle] = []

    def look() -> None:
        if lapsed():
            conn.terminate()
        else:
            looks[:] = [loop.call_later(_LOOK, look)]

    looks.append(loop.call_later(_LOOK, look))
    try:
        yield
    finally:
        looks[0].cancel()


@contextmanager
def answering(conn: Connection, until: float | None) -> Iterator[None]:
    """What is asked of a connection, which is cut off when it is late.

    Raises `OutOfTime` where what was asked has surely changed nothing; `OutcomeUnknown` of the block passes.
    """
    if until is None:
        yield
        return
    late = False

    def cut() -> None:
        nonlocal late
        late = True
        conn.terminate()

    alarm = asyncio.get_running_loop().call_at(until, cut)
    try:
        yield
    except Exception as error:
        if late and isinstance(mapped(error, writing=False), StoreDown):
            raise OutOfTime("its connection was cut off") from error
        raise
    finally:
        alarm.cancel()
