"""A WSGI application of synchronous PyMongo for gunicorn with preload and threads: one client for the whole service.

The client is made and used in the master before the fork, as Flask applications do; every request uses it in one of the
worker's threads, several at once. Each thread of a worker writes keys of its own, which it notes in a ledger of its own
as in `tests.faults.application`; the folder is ``LEDGERS``. A request also changes two records in one transaction.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shadow.config import load
from shadow.pymongo import MongoClient

_SETTINGS = load()
_LEDGERS = Path(os.environ["LEDGERS"])
_KEYS = 10

assert _SETTINGS.stores.mongo is not None
_CLIENT: MongoClient[dict[str, Any]] = MongoClient(_SETTINGS.stores.mongo.get_secret_value())
_DATABASE, _, _COLLECTION = (_SETTINGS.entities["things"].legacy.mongo or "").partition(".")
_THINGS = _CLIENT[_DATABASE][_COLLECTION]


class Writer:
    """Writes keys of its own."""

    def __init__(self) -> None:
        self._name = f"{os.getpid()}-{threading.get_ident()}"
        self._ledger = os.open(_LEDGERS / f"{self._name}.ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._numbers = itertools.count(1)

    def write(self) -> None:
        """One write, then a read that must show it; now and then both in a transaction, by another key."""
        number = next(self._numbers)
        key = f"{self._name}-{number % _KEYS}"
        self._note("+", key, number)
        try:
            if number % 5:
                _THINGS.update_one({"_id": key}, {"$set": {"n": number}}, upsert=True)
            else:
                self._in_a_transaction(key, number)
            self._note("=", key, number)
            found = _THINGS.find_one({"_id": key})
            if found is None or found["n"] != number:
                self._note("!", f"stale {found}, not {number}")
            listed = [each["n"] for each in _THINGS.find({"_id": {"$in": [key]}})]
            if listed != [number]:
                self._note("!", f"stale {listed}, not {number}")
        except Exception as error:
            self._note("!", f"{type(error).__name__}: {error}")

    def _in_a_transaction(self, key: str, number: int) -> None:
        with _CLIENT.start_session() as session:
            session.with_transaction(lambda inside: self._twice(key, number, inside))

    def _twice(self, key: str, number: int, session: Any) -> None:
        _THINGS.replace_one({"_id": key}, {"n": 0}, upsert=True, session=session)
        _THINGS.update_one({"_id": key}, {"$inc": {"n": number}}, session=session)

    def _note(self, *words: object) -> None:
        os.write(self._ledger, (" ".join(map(str, words)) + "\n").encode())


class _Mine(threading.local):
    """The running thread's writer, of the running process."""

    pid = 0
    writer: Writer

    def get(self) -> Writer:
        if self.pid != os.getpid():
            self.pid, self.writer = os.getpid(), Writer()
        return self.writer


_mine = _Mine()
_mine.get().write()  # in the master, before the fork: what it has, no worker may use


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application."""
    _mine.get().write()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
