"""PyMongo's synchronous collection for the coroutines of operations, which await what they ask of a driver.

Each method is run by the thread that made the call, whichever thread the coroutine runs in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from shadow.runtime.portal import in_callers_thread


class PostedCursor:
    """A cursor of the driver's own, to be read as a whole."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    async def to_list(self, length: int | None = None) -> list[Any]:
        """As the asynchronous drivers' cursors have it."""
        documents: list[Any] = await in_callers_thread(partial(self._cursor.to_list, length))
        return documents


class PostedCollection:
    """The driver's own collection, with methods that can be awaited."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return partial(_called, getattr(self._plain, name))

    def with_options(self, **options: Any) -> PostedCollection:
        """The same collection with other options."""
        return PostedCollection(self._plain.with_options(**options))

    async def aggregate(self, *args: Any, **kwargs: Any) -> PostedCursor:
        """An aggregation, which is sent at once."""
        return PostedCursor(await _called(self._plain.aggregate, *args, **kwargs))

    def find(self, *args: Any, **kwargs: Any) -> PostedCursor:
        """A query; nothing is sent before its cursor is read."""
        return PostedCursor(self._plain.find(*args, **kwargs))


async def _called(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await in_callers_thread(partial(method, *args, **kwargs))
