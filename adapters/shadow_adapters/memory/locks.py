"""Locks by name, held by connections, granted in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any

from shadow_adapters.failures import StoreDown

Name = Any  # hashable and sortable


class Connection:
    """The server's end of one client connection. ``client`` is whom it dies with."""

    def __init__(self, client: Hashable = None) -> None:
        self.client = client
        self.alive = True


class _Request:
    def __init__(self, connection: Connection, names: Iterable[Name]) -> None:
        self.connection = connection
        self.names = deque(sorted(names))
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Locks:
    """Exclusive locks. A connection that holds a name gets it again at once."""

    def __init__(self) -> None:
        self._holders: dict[Name, Connection] = {}
        self._waiting: dict[Name, deque[_Request]] = {}

    def holds(self, connection: Connection, name: Name) -> bool:
        """Whether the connection holds the lock now."""
        return self._holders.get(name) is connection

    def try_take(self, connection: Connection, name: Name) -> bool:
        """Take the lock if it is free; whether the connection holds it then."""
        return self._holders.setdefault(name, connection) is connection

    def request(self, connection: Connection, names: Iterable[Name]) -> asyncio.Future[None]:
        """Ask for locks, taken one by one in ascending order so that two requests cannot deadlock.

        The future is done when all are held. It fails with `StoreDown` when the connection dies; cancelling it
        withdraws the request and keeps what it has got.
        """
        request = _Request(connection, names)
        self._advance(request)
        return request.granted

    def release(self, connection: Connection) -> None:
        """Free everything that the connection holds or waits for."""
        for queue in self._waiting.values():
            for request in [r for r in queue if r.connection is connection]:
                queue.remove(request)
                _fail(request)
        for name in [n for n, holder in self._holders.items() if holder is connection]:
            del self._holders[name]
            self._hand_on(name)

    def _advance(self, request: _Request) -> None:
        while request.names:
            name = request.names[0]
            if not self.try_take(request.connection, name):
                self._waiting.setdefault(name, deque()).append(request)
                return
            request.names.popleft()
        request.granted.set_result(None)

    def _hand_on(self, name: Name) -> None:
        queue = self._waiting.get(name)
        while queue:
            request = queue.popleft()
            if not request.granted.done():
                self._advance(request)
                return


def _fail(request: _Request) -> None:
    if not request.granted.done():
        request.granted.set_exception(StoreDown("the connection was lost while it waited for a lock"))
        request.granted.exception()
