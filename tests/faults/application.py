"""An application as a process of its own, to be killed: writes under load, and notes what was acknowledged.

Run as ``python -m tests.faults.application CONFIG LEDGER OPTIONS...``. It prints ``ready`` once Shadow serves it, reads
one record now and then (gates want something to be compared), and begins to write at the first line on its input.

The ledger is append-only. ``+ KEY N`` is written before a write that makes the record of KEY be number N (0: be gone),
``= KEY N`` after it was acknowledged, ``! TEXT`` for an error that the caller saw. A line is one `os.write`, which
outlives the process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

from pymongo.errors import AutoReconnect

from shadow.config import load
from shadow.pymongo import AsyncMongoClient

PADDING = "x" * 200


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--name", default="a", help="begins the numbers' owner field")
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=1, help="the first number given")
    parser.add_argument(
        "--backwards", action="store_true", help="every task writes all keys, from the last to the first"
    )
    parser.add_argument(
        "--forwards", action="store_true", help="every task writes all keys, from the first to the last"
    )
    parser.add_argument("--rounds", type=int, default=0, help="then end; 0: never")
    return parser.parse_args()


class Application:
    """The application's state: its collection, its ledger, the next number."""

    def __init__(self, options: argparse.Namespace) -> None:
        settings = load(options.config)
        assert settings.stores.mongo is not None
        entity = settings.entities["things"]
        database, _, collection = (entity.legacy.mongo or "").partition(".")
        self.client = AsyncMongoClient(settings.stores.mongo.get_secret_value())
        self.things: Any = self.client[database][collection]
        self.options = options
        self._ledger = os.open(options.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._number = options.first - 1

    def note(self, *words: object) -> None:
        """One line of the ledger."""
        os.write(self._ledger, (" ".join(map(str, words)) + "\n").encode())

    async def write(self, key: str, rng: random.Random) -> None:
        """One write of the key, of a random kind."""
        self._number += 1
        kind = rng.random()
        number = 0 if kind < 0.1 else self._number
        self.note("+", key, number)
        try:
            await self._make(key, kind, number)
        except Exception as error:
            self.note("!", f"{type(error).__name__}: {error}")
            return
        self.note("=", key, number)

    async def _make(self, key: str, kind: float, number: int) -> None:
        record = {"_id": key, "by": self.options.name, "n": number, "padding": PADDING}
        change = {"$set": {"by": self.options.name, "n": number}, "$push": {"history": number}}
        if not number:
            await self.things.delete_one({"_id": key})
        elif kind < 0.4:
            await self.things.replace_one({"_id": key}, record, upsert=True)
        elif kind < 0.5:
            await self.things.find_one_and_update({"_id": key}, change, upsert=True)
        else:
            await self.things.update_one({"_id": key}, change, upsert=True)


async def until_told(app: Application) -> None:
    """Read now and then, until the first line of input."""
    loop = asyncio.get_running_loop()
    told = loop.run_in_executor(None, sys.stdin.readline)
    print("ready", flush=True)
    while not told.done():
        await app.things.find_one({"_id": "k0"})
        await asyncio.wait([told], timeout=0.02)


async def own_keys(app: Application, task: int) -> None:
    """Write the keys that are this task's alone."""
    rng = random.Random(app.options.seed * 1000 + task)
    mine = [f"k{n}" for n in range(app.options.keys) if n % app.options.tasks == task]
    while True:
        await app.write(rng.choice(mine), rng)


async def all_keys(app: Application, task: int) -> None:
    """Write every key in one order, again and again: others write them in the other."""
    rng = random.Random(app.options.seed * 1000 + task)
    order = [f"k{n}" for n in range(app.options.keys)]
    if app.options.backwards:
        order.reverse()
    for _ in range(app.options.rounds):
        for key in order:
            await app.write(key, rng)


async def main() -> None:
    """Wait, then write."""
    app = Application(arguments())
    while True:
        try:
            await app.things.find_one({"_id": "k0"})
            break
        except AutoReconnect:
            await asyncio.sleep(0.1)
    await until_told(app)
    kind = all_keys if app.options.backwards or app.options.forwards else own_keys
    await asyncio.gather(*(kind(app, task) for task in range(app.options.tasks)))
    print("done", flush=True)
    await until_told(app)


if __name__ == "__main__":
    asyncio.run(main())
