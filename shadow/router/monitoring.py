"""Command monitoring: the caller's listeners hear of what PostgreSQL answers as they hear of MongoDB's commands.

As the driver has it (PyMongo 4.20, ``asynchronous/network.py``): a command has started, then it has succeeded or
failed, under one request id. Of a read that MongoDB may have to answer after all nothing is said before it is answered.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any
from uuid import uuid4

import bson
from bson.binary import UUID_SUBTYPE, Binary
from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

from shadow.protocol.lasting import unforeseen
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.contract import Fence, Record, may_be_legacys
from shadow_adapters.failures import CommandFailure

CONNECTION = ("postgresql", 0)
"""What events name in the place of a MongoDB server's host and port."""


class Nobody:
    """Nobody listens."""

    def answered(self, reply: Mapping[str, Any]) -> None:
        """PostgreSQL has answered."""

    def found(self, documents: Sequence[Any]) -> None:
        """PostgreSQL has answered with these documents, the first ones of a cursor."""

    def record(self, record: Record | None) -> None:
        """PostgreSQL has answered with a record, or that there is none."""

    def failed(self, error: BaseException) -> None:
        """PostgreSQL has not answered."""

    def __enter__(self) -> Nobody:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self.failed(error)


class _Heard(Nobody):
    """One command of which the caller's listeners hear."""

    def __init__(self, op: Any, command: Mapping[str, Any], *, waits: bool) -> None:
        driver = op.driver
        self._listeners = driver.listeners
        self._database: str = driver.core.database.name
        self._namespace = f"{self._database}.{driver.name}"
        session = getattr(op.session, "delegate", op.session)
        # An implicit session's id is the client's to choose, and is new where its pool has none left
        lsid = {"id": Binary(uuid4().bytes, UUID_SUBTYPE)} if session is None else session.session_id
        self._command = {**command, "lsid": lsid, "$db": self._database}
        self._name = next(iter(command))
        self._request = random.getrandbits(31)
        self._began = time.monotonic()
        self._waits = waits  # until it is answered, for it may be legacy's
        if not waits:
            self._start()

    def answered(self, reply: Mapping[str, Any]) -> None:
        if self._waits:
            self._start()
        told = bson.decode(encode({name: value for name, value in reply.items() if name != "unsupported"}))
        if told.get("ok"):
            self._end("succeeded", CommandSucceededEvent, told)
        else:
            self._end("failed", CommandFailedEvent, told)

    def found(self, documents: Sequence[Any]) -> None:
        self.answered({"cursor": {"firstBatch": list(documents), "id": 0, "ns": self._namespace}, "ok": 1.0})

    def record(self, record: Record | None) -> None:
        self.found([] if record is None else [decode(record)])

    def failed(self, error: BaseException) -> None:
        if isinstance(error, CommandFailure) and not (self._waits and error.unsupported):
            self.answered({"ok": 0.0, "errmsg": error.message, "code": error.code})
            return
        if self._waits:
            return
        self._end("failed", CommandFailedEvent, {"errmsg": str(error), "errtype": type(error).__name__})

    def _start(self) -> None:
        event = CommandStartedEvent(self._command, self._database, self._request, CONNECTION, self._request)
        self._tell("started", event)

    def _end(self, what: str, event: Callable[..., Any], told: Mapping[str, Any]) -> None:
        took = timedelta(seconds=time.monotonic() - self._began)
        same = (self._name, self._request, CONNECTION, self._request)
        self._tell(what, event(took, told, *same, database_name=self._database))

    def _tell(self, what: str, event: Any) -> None:
        for listener in self._listeners:
            try:
                getattr(listener, what)(event)
            except Exception as error:
                unforeseen("a command listener of the application", error)


_NOBODY = Nobody()


def heard(op: Any, fence: Fence | None) -> Nobody:
    """Who listens to an operation that PostgreSQL is asked for in the block. What the block raises has not answered.

    ``fence``: the read's or write's. One that says how old marks may be lets MongoDB answer instead.
    """
    if not op.driver.listeners:
        return _NOBODY
    return _Heard(op, op.command(), waits=may_be_legacys(fence))
