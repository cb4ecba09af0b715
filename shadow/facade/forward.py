"""Methods that new does not serve yet: the driver's own, counted by name on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from motor.core import AgnosticClientSession
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.client_session import ClientSession

from shadow.facade.seat import Seat

M = TypeVar("M", bound=Callable[..., Any])

_SESSIONS = (AsyncClientSession, AgnosticClientSession, ClientSession)


def session_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The session among a call's arguments, if any."""
    session = kwargs.get("session")
    if session is None:
        for arg in args:
            if isinstance(arg, _SESSIONS):
                return arg
    return session


async def pass_on(seat: Seat, name: str, writes: bool, on_legacy: Callable[[], Awaitable[Any]], session: Any) -> Any:
    """Run a method on legacy: directly while the router is quiet, else counted by it."""
    if not writes and seat.quiet(session):
        return await on_legacy()
    begun = seat.begin(session)
    if begun is not None:
        return await seat.counted(begun, on_legacy())
    return await seat.router.other(name, writes, on_legacy)


async def pass_by(seat: Seat, name: str, writes: bool, on_legacy: Callable[[], Awaitable[Any]], session: Any) -> Any:
    """Run on legacy what new serves in its own way; nothing is counted. Raises `LedByNew` where new must."""
    if not writes and seat.quiet(session):
        return await on_legacy()
    begun = seat.begin(session)
    if begun is not None:
        return await seat.counted(begun, on_legacy())
    return await seat.router.on_legacy(writes, on_legacy)


def forwarded(method: M, writes: bool) -> M:
    """The driver's method as a façade's: run on the driver's own collection, past the router's count."""
    name = method.__name__

    @wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        seat: Seat = self._seat
        on_legacy = partial(method, seat.driver.collection, *args, **kwargs)
        return await pass_on(seat, name, writes, on_legacy, session_in(args, kwargs))

    return cast("M", call)
