"""A WSGI application for gunicorn with preload: Shadow in the master before the fork, and in every worker twice.

Each request writes from the worker's main thread, whose event loop runs only as long as a request does. A second thread
has a loop of its own that writes all the time. What was acknowledged goes to an append-only ledger for each loop, as in
`tests.faults.application`; its folder is ``LEDGERS``.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shadow.config import load
from shadow.pymongo import AsyncMongoClient

_SETTINGS = load()
_LEDGERS = Path(os.environ["LEDGERS"])
_KEYS = 10


class Writer:
    """Writes keys of its own from one event loop."""

    def __init__(self, name: str) -> None:
        assert _SETTINGS.stores.mongo is not None
        self._name = f"{os.getpid()}-{name}"
        self._client = AsyncMongoClient(_SETTINGS.stores.mongo.get_secret_value())
        database, _, collection = (_SETTINGS.entities["things"].legacy.mongo or "").partition(".")
        self._things = self._client[database][collection]
        self._ledger = os.open(_LEDGERS / f"{self._name}.ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._numbers = itertools.count(1)

    async def write(self) -> None:
        """One write, then a read that must show it."""
        number = next(self._numbers)
        key = f"{self._name}-{number % _KEYS}"
        self._note("+", key, number)
        try:
            await self._things.update_one({"_id": key}, {"$set": {"n": number}}, upsert=True)
            self._note("=", key, number)
            found = await self._things.find_one({"_id": key})
            if found is None or found["n"] != number:
                self._note("!", f"stale {found}, not {number}")
        except Exception as error:
            self._note("!", f"{type(error).__name__}: {error}")

    async def go_on(self) -> None:
        """Write for ever."""
        while True:
            await self.write()
            await asyncio.sleep(0.01)

    def _note(self, *words: object) -> None:
        os.write(self._ledger, (" ".join(map(str, words)) + "\n").encode())


class Worker:
    """What one worker process has: a loop for its requests, and a thread with another."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._writer = Writer("request")
        threading.Thread(target=lambda: asyncio.run(self._background()), daemon=True).start()

    def serve(self) -> None:
        """What one request does."""
        self._loop.run_until_complete(self._writer.write())

    async def _background(self) -> None:
        await Writer("thread").go_on()


async def _in_the_master() -> None:
    writer = Writer("master")
    await writer.write()


_workers: dict[int, Worker] = {}
asyncio.run(_in_the_master())  # before the fork: what the master has, no worker may inherit


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application. The first request starts the worker's second thread."""
    worker = _workers.get(os.getpid())
    if worker is None:
        worker = _workers[os.getpid()] = Worker()
    worker.serve()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
