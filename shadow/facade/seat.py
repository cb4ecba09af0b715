"""Where a façade's collection sits: between its router and the driver's own collection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from shadow.facade.contract import Router
from shadow.ops.alter import AlterOp
from shadow.ops.base import ReadOp, WriteOp
from shadow.ops.driver import Driver
from shadow.ops.replies import driver_error
from shadow_adapters.failures import CommandFailure

R = TypeVar("R")


def given(**options: Any) -> dict[str, Any]:
    """The optional arguments that the caller gave. Passing None on is the same to the driver, but older drivers do
    not know every argument."""
    return {name: value for name, value in options.items() if value is not None}


class Seat:
    """Passes calls on: directly to the driver while the router is quiet, else as operations to the router."""

    __slots__ = ("driver", "router")

    def __init__(self, router: Router, driver: Driver) -> None:
        self.router = router
        self.driver = driver

    def quiet(self, session: Any) -> bool:
        """Whether the driver is called directly, and counted so. A transaction's unit must know of all that is done in
        it."""
        if not self.router.quiet or self.driver.unit(session) is not None:
            return False
        self.router.direct.advance()
        return True

    async def read(self, op: Callable[..., ReadOp[R]], *args: Any, session: Any, **options: Any) -> R:
        """Run a read. ``op`` is the operation's class; the arguments are the driver's."""
        options |= given(session=session)  # which not every read knows
        if self.quiet(session):
            result: R = await self._direct(op, *args, **options)
            return result
        return await self.routed_read(op(self.driver, *args, **options))

    async def write(self, op: Callable[..., WriteOp[R]], *args: Any, session: Any, **options: Any) -> R:
        """Run a write. ``op`` is the operation's class; the arguments are the driver's."""
        begun = self.begin(session)
        if begun is not None:
            result: R = await self.counted(begun, self._direct(op, *args, session=session, **options))
            return result
        return await self.routed_write(op(self.driver, *args, session=session, **options))

    async def routed_read(self, op: ReadOp[R]) -> R:
        """Run a read through the router. Raises the driver's own exceptions."""
        try:
            return await self.router.read(op)
        except CommandFailure as failure:
            raise driver_error(failure) from None

    async def routed_write(self, op: WriteOp[R]) -> R:
        """Run a write through the router. Raises the driver's own exceptions."""
        try:
            return await self.router.write(op)
        except CommandFailure as failure:
            raise driver_error(failure) from None

    async def alter(self, op: Callable[..., AlterOp[R]], *args: Any, session: Any, **options: Any) -> R:
        """Alter the collection. ``op`` is the operation's class; the arguments are the driver's."""
        begun = self.begin(session)
        if begun is not None:
            result: R = await self.counted(begun, self._direct(op, *args, session=session, **options))
            return result
        return await self.altered(op(self.driver, *args, session=session, **options))

    async def look(self, op: Callable[..., AlterOp[R]], *args: Any, session: Any, **options: Any) -> R:
        """Look at the collection's indexes. Arguments as of `alter`."""
        if self.quiet(session):
            result: R = await self._direct(op, *args, session=session, **options)
            return result
        return await self.altered(op(self.driver, *args, session=session, **options))

    async def altered(self, op: AlterOp[R]) -> R:
        """Run an alteration through the router. Raises the driver's own exceptions."""
        try:
            return await self.router.alter(op)
        except CommandFailure as failure:
            raise driver_error(failure) from None

    def begin(self, session: Any) -> Any | None:
        """Begin a write that the driver may be called for directly, if it may. `counted` or `ended` ends it."""
        return self.router.begin() if self.quiet(session) else None

    async def counted(self, begun: Any, answer: Awaitable[R]) -> R:
        """The answer of a direct write, whose end the router learns."""
        try:
            result = await answer
        except BaseException as error:
            self.router.end(begun, error)
            raise
        self.router.end(begun, None)
        return result

    def ended(self, begun: Any, answer: asyncio.Future[Any]) -> None:
        """A direct write has ended, as its future tells."""
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        self.router.end(begun, error)

    def _direct(self, op: Any, *args: Any, **options: Any) -> Awaitable[Any]:
        called: Awaitable[Any] = getattr(self.driver.collection, op.name)(*args, **options)
        return called
