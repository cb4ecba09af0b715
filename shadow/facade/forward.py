"""Methods that new does not serve yet: the driver's own, counted by name on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from motor.core import AgnosticClientSession
from pymongo.asynchronous.client_session import AsyncClientSession

M = TypeVar("M", bound=Callable[..., Any])

_SESSIONS = (AsyncClientSession, AgnosticClientSession)


def session_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The session among a call's arguments, if any."""
    session = kwargs.get("session")
    if session is None:
        session = next((arg for arg in args if isinstance(arg, _SESSIONS)), None)
    return session


def pipeline_writes(pipeline: Any = (), *_: Any, **__: Any) -> bool:
    """Whether an aggregation writes its result somewhere, which only its last stage can."""
    last = pipeline[-1] if isinstance(pipeline, list | tuple) and pipeline else {}
    return "$out" in last or "$merge" in last


def forwarded(method: M, writes: bool | Callable[..., bool]) -> M:
    """The driver's method as a façade's: run on the driver's own collection, past the router's count.

    Args:
        writes: whether the method changes records, or a function of the call's arguments that says it.
    """
    name = method.__name__

    @wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        seat = self._seat
        on_legacy = partial(method, seat.driver.collection, *args, **kwargs)
        if seat.quiet(session_in(args, kwargs)):
            return await on_legacy()
        changes = writes if isinstance(writes, bool) else writes(*args, **kwargs)
        return await seat.router.other(name, changes, on_legacy)

    return cast("M", call)
