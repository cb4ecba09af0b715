"""PyMongo's synchronous objects in the shape of Motor's, so that one test serves all three drivers.

A call is made at once, in the thread of the test, and its result can be awaited; cursors, sessions and the like come
back in the same shape.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.change_stream import ChangeStream
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.command_cursor import CommandCursor
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.mongo_client import MongoClient

_SHAPED = (ChangeStream, ClientSession, Collection, CommandCursor, Cursor, Database, MongoClient)


class Awaited:
    """One object of the driver's. Its class is the same for every object of one class."""

    def __init__(self, plain: Any) -> None:
        self.__dict__["_plain"] = plain

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._plain, name)
        shaped = awaited(value)
        return (
            shaped if shaped is not value or not callable(value) else lambda *args, **kwargs: _call(value, args, kwargs)
        )

    def __getitem__(self, name: Any) -> Any:
        return awaited(self._plain[name])

    def __eq__(self, other: Any) -> bool:
        return bool(self._plain == _plain(other))

    def __hash__(self) -> int:
        return hash(self._plain)

    async def next(self) -> Any:
        try:
            return self._plain.next()
        except StopIteration:
            raise StopAsyncIteration from None

    __anext__ = next

    def __await__(self) -> Any:
        return self
        yield

    def __aiter__(self) -> Any:
        return self

    async def __aenter__(self) -> Any:
        return awaited(self._plain.__enter__())

    async def __aexit__(self, *exc: Any) -> Any:
        return self._plain.__exit__(*exc)


class _Done:
    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Any:
        return self._value
        yield


def awaited(value: Any) -> Any:
    """The object in Motor's shape, if it is one of the driver's that have calls."""
    contexts = "_TransactionContext", "_BoundSessionContext"
    return _shape(type(value))(value) if isinstance(value, _SHAPED) or type(value).__name__ in contexts else value


_SHAPES: dict[type, type[Awaited]] = {}


def _shape(kind: type) -> type[Awaited]:
    if kind not in _SHAPES:
        _SHAPES[kind] = type(kind.__name__, (Awaited,), {})
    return _SHAPES[kind]


def _plain(value: Any) -> Any:
    return value._plain if isinstance(value, Awaited) else value


def _call(method: Callable[..., Any], args: Any, kwargs: Any) -> Awaitable[Any] | Any:
    given = [_now(arg) if callable(arg) else _plain(arg) for arg in args]
    value = method(*given, **{name: _plain(each) for name, each in kwargs.items()})
    shaped = awaited(value)
    return shaped if shaped is not value else _Done(value)


def _now(work: Callable[..., Any]) -> Callable[..., Any]:
    """A callback that is a coroutine function, for a driver that calls functions."""

    def call(*args: Any) -> Any:
        coroutine = work(*map(awaited, args))
        try:
            coroutine.send(None)
        except StopIteration as ended:
            return ended.value
        raise AssertionError("what the callback awaits is done already")

    return call
