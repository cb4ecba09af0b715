"""What a façade needs of the router and of the runtime behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from shadow.metrics.tally import Tally
from shadow.ops.alter import AlterOp
from shadow.ops.base import Cursor, ReadOp, WriteOp
from shadow.ops.cursor import CursorRead
from shadow.protocol.unit import Unit

R = TypeVar("R")


class Opened(Protocol):
    """The store that a cursor was opened on; it stays there until it ends or is rewound."""

    @property
    def cursor(self) -> Cursor | None:
        """New's cursor; None where legacy answers, through the driver's own cursor."""

    @property
    def observe(self) -> Callable[[Sequence[Any] | None, bool], object] | None:
        """Takes what was delivered, in the wire's form, once: at the end, or (False) of a cursor that was given up or
        is longer than is worth keeping; None of one whose documents have no such form. None where nothing is
        compared."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that new's cursor belongs to."""


class Router(Protocol):
    """Decides where a call on one collection goes."""

    @property
    def direct(self) -> Tally:
        """Counts the calls that the driver was asked for directly."""

    @property
    def quiet(self) -> bool:
        """True while legacy alone is involved: the driver's own method may be called directly."""

    async def meet(self) -> None:
        """Learn the collection's phase, if this is the first call that needs it; until then `begin` gives None."""

    def begin(self) -> Any | None:
        """Count a write that is about to go to legacy directly; None where it must be routed after all."""

    def end(self, begun: Any, error: BaseException | None) -> None:
        """That write has ended, as ``error`` says."""

    async def read(self, op: ReadOp[R]) -> R: ...

    async def write(self, op: WriteOp[R]) -> R: ...

    async def open(self, op: CursorRead) -> Opened: ...

    async def alter(self, op: AlterOp[R]) -> R: ...

    async def apart(self, call: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a call on a stack of its own, where so much stands on this one that it might not hold more."""

    async def on_legacy(self, writes: bool, call: Callable[[], Awaitable[R]]) -> R:
        """Run what the driver does of itself, and Shadow otherwise where it must: `LedByNew` says that it must."""

    async def other(self, name: str, writes: bool, on_legacy: Callable[[], Awaitable[R]]) -> R:
        """Run a method that new does not serve yet, counted by its name."""


class Binding(Protocol):
    """One client's tie to the runtime. Made without I/O and without a running loop, as the drivers' clients are."""

    def router(self, database: str, collection: str) -> Router | None:
        """The collection's router, the same for the client's whole life; None if it is not configured."""

    def below(self, database: str, collection: str) -> bool:
        """Whether collections below this one (``fs.files`` below ``fs``) are configured."""

    async def led_by_new(self, database: str) -> Mapping[str, bool]:
        """The collections of a database that new leads, by name: whether they are there. Raises pymongo's errors."""

    async def collections(self, database: str) -> list[str]:
        """The names of the collections of a database, as far as any of them may be configured."""

    async def databases(self) -> set[str]:
        """The databases of MongoDB, and of the configured collections that this process knows. Raises pymongo's
        errors."""

    def unit(self, driver_session: Any) -> Unit:
        """The unit of the transaction that the session has just started."""
