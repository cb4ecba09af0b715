"""A transaction of the application, as one unit of marks and of one store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Unit(Protocol):
    """Everything that one transaction of a session did, from its first operation to its end.

    A unit stays on the store that its first operation went to, across any step.
    """

    async def read(self, op: Any) -> Any:
        """A read inside the transaction."""

    async def write(self, op: Any) -> Any:
        """A write inside the transaction."""

    async def open(self, op: Any) -> Any:
        """A cursor inside the transaction."""

    async def commit(self, on_legacy: Callable[[], Awaitable[Any]]) -> None:
        """Commit on the unit's store (``on_legacy`` runs the driver's own commit), then settle and sync its marks.

        An outcome that nobody knows leaves the marks unsettled.
        """

    async def abort(self, on_legacy: Callable[[], Awaitable[Any]]) -> None:
        """Abort; the marks are dropped."""
