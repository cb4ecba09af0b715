"""A session's transaction as a unit: begun with the driver's, ended together with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from shadow.facade.contract import Binding
from shadow.ops.driver import unit_of
from shadow.ops.patience import Patience, Patient

End = Callable[[], Awaitable[Any]]


def begin(binding: Binding, session: Any) -> None:
    """Give a session, whose transaction has just started, its unit."""
    getattr(session, "delegate", session)._shadow_unit = binding.unit(session)


def patience_of(session: Any) -> Patience | None:
    """How long the caller of a session waits for the end of a transaction. For the caller's own context."""
    return Patient(getattr(session, "delegate", session)._client).now()


async def commit(session: Any, driver_commit: End, waits: Patience | None) -> None:
    """Commit the unit. Errors are those of the store that it is on, in the driver's classes."""
    unit = unit_of(session)
    if unit is None:
        await driver_commit()
        return
    await unit.commit(driver_commit, waits)
    # On new nothing was sent to legacy: the driver's commit then only moves its own state.
    if session.in_transaction:
        await driver_commit()


async def abort(session: Any, driver_abort: End, waits: Patience | None) -> None:
    """Abort the unit."""
    unit = unit_of(session)
    if unit is None:
        await driver_abort()
        return
    await unit.abort(driver_abort, waits)
    if session.in_transaction:
        await driver_abort()
