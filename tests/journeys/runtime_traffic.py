"""Traffic that knows what every answer must be: each worker writes records of its own, and reads back what it wrote.

A worker's model is the ledger of its acknowledged writes. Whatever it is told that contradicts the model is an error.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import perf_counter
from typing import Any

from bson import ObjectId
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne

Document = dict[str, Any]
_GROUPS = 3


class Worker:
    """One task of the application, with records that nobody else writes.

    Attributes:
        ledger: ``_id`` -> the record as it must be.
        errors: what callers must never see.
        waits: (name, seconds) of each call.
    """

    def __init__(self, name: str, client: Any, database: str, collection: str, seed: int) -> None:
        self.name = name
        self.ledger: dict[ObjectId, Document] = {}
        self.errors: list[str] = []
        self.waits: list[tuple[str, float]] = []
        self.seen: dict[str, int] = {}
        self._client = client
        self._collection = client[database][collection]
        self._random = random.Random(seed)
        self._count = 0
        self._act = ""

    async def step(self) -> None:
        """One random write, then reads that must show it."""
        act = self._random.choice(_ACTS if self.ledger else (Worker.insert,))
        self._act = act.__name__
        try:
            await self._timed(act.__name__, act(self))
        except Exception as error:
            self.errors.append(f"{act.__name__}: {type(error).__name__}: {error}")
            await self._resume()
            return
        self.seen[act.__name__] = self.seen.get(act.__name__, 0) + 1
        await self.check()

    async def check(self) -> None:
        """Reads that must show every acknowledged write."""
        for identity in self._random.sample(sorted(self.ledger), min(2, len(self.ledger))):
            await self._expect(identity)
        if self._random.random() < 0.3:
            cursor = self._collection.find({"owner": self.name}).sort("_id", 1)
            found = await self._timed("find", cursor.to_list(None))
            self._same("find", found, [self.ledger[identity] for identity in sorted(self.ledger)])
            count = await self._timed("count", self._collection.count_documents({"owner": self.name}))
            self._same("count_documents", count, len(self.ledger))

    async def insert(self) -> None:
        new = self._fresh()
        await self._collection.insert_one(new)
        self.ledger[new["_id"]] = new
        await self._expect(new["_id"])

    async def insert_many(self) -> None:
        new = [self._fresh() for _ in range(3)]
        await self._collection.insert_many(new)
        self.ledger.update({each["_id"]: each for each in new})

    async def set(self) -> None:
        one, n = self._one(), self._next()
        done = await self._collection.update_one({"_id": one["_id"]}, {"$set": {"n": n, "name": f"name {n}"}})
        self._same("matched", done.matched_count, 1)
        one |= {"n": n, "name": f"name {n}"}
        await self._expect(one["_id"])

    async def inc_and_push(self) -> None:
        one, n = self._one(), self._next()
        await self._collection.update_one({"_id": one["_id"]}, {"$inc": {"n": 1}, "$push": {"capabilities": n}})
        one["n"] += 1
        one["capabilities"] = [*one["capabilities"], n]
        await self._expect(one["_id"])

    async def replace(self) -> None:
        one = self._one()
        new = self._fresh() | {"_id": one["_id"]}
        await self._collection.replace_one({"_id": one["_id"]}, new)
        self.ledger[one["_id"]] = new
        await self._expect(one["_id"])

    async def delete(self) -> None:
        one = self._one()
        done = await self._collection.delete_one({"_id": one["_id"]})
        self._same("deleted", done.deleted_count, 1)
        del self.ledger[one["_id"]]
        await self._expect(one["_id"])

    async def find_one_and_update(self) -> None:
        """By a filter that names no key: the server chooses."""
        least = min(self.ledger.values(), key=lambda each: each["_id"])
        found = await self._collection.find_one_and_update(
            {"owner": self.name},
            {"$set": {"n": self._next()}},
            sort=[("_id", 1)],
            return_document=ReturnDocument.AFTER,
        )
        least["n"] = self._count
        self._same("find_one_and_update", found, least)
        await self._expect(least["_id"])

    async def update_many(self) -> None:
        group = self._random.randrange(_GROUPS)
        hit = [each for each in self.ledger.values() if each["group"] == group]
        done = await self._collection.update_many({"owner": self.name, "group": group}, {"$inc": {"n": 1}})
        self._same("matched", done.matched_count, len(hit))
        for each in hit:
            each["n"] += 1

    async def delete_many(self) -> None:
        victims = [each["_id"] for each in self.ledger.values() if each["n"] % 7 == 0]
        done = await self._collection.delete_many({"_id": {"$in": victims}, "owner": self.name})
        self._same("deleted", done.deleted_count, len(victims))
        for identity in victims:
            del self.ledger[identity]

    async def bulk_write(self) -> None:
        one, new, n = self._one(), self._fresh(), self._next()
        group = self._random.randrange(_GROUPS)
        await self._collection.bulk_write(
            [
                InsertOne(new),
                UpdateOne({"_id": one["_id"]}, {"$set": {"n": n}}),
                UpdateMany({"owner": self.name, "group": group}, {"$set": {"bulk": n}}),
                DeleteOne({"_id": new["_id"]}),
                ReplaceOne({"_id": one["_id"]}, replacement := self._fresh() | {"_id": one["_id"]}),
                DeleteMany({"owner": self.name, "n": -1}),
            ]
        )
        for each in self.ledger.values():
            if each["group"] == group:
                each["bulk"] = n
        self.ledger[one["_id"]] = replacement
        await self._expect(one["_id"])

    async def transaction(self) -> None:
        """Two writes as one: both or, where it is aborted, neither."""
        one, new, n = self._one(), self._fresh(), self._next()
        abort = self._random.random() < 0.3
        async with session_of(self._client) as session:
            try:
                async with await awaited(session.start_transaction()):
                    await self._collection.insert_one(new, session=session)
                    await self._collection.update_one({"_id": one["_id"]}, {"$set": {"n": n}}, session=session)
                    inside = await self._collection.find_one({"_id": one["_id"]}, session=session)
                    self._same("find_one in a transaction", inside, one | {"n": n})
                    if abort:
                        raise _Abort
            except _Abort:
                await self._expect(one["_id"])
                return
        one["n"] = n
        self.ledger[new["_id"]] = new
        await self._expect(one["_id"])

    async def _expect(self, identity: ObjectId) -> None:
        found = await self._timed("find_one", self._collection.find_one({"_id": identity}))
        self._same("find_one", found, self.ledger.get(identity))

    async def _resume(self) -> None:
        """After an error, go on from what is there: the error itself is told already."""
        try:
            found = await self._collection.find({"owner": self.name}).to_list(None)
        except Exception as error:
            self.errors.append(f"find: {type(error).__name__}: {error}")
            return
        self.ledger = {each["_id"]: each for each in found}

    async def _timed(self, name: str, call: Awaitable[Any]) -> Any:
        began = perf_counter()
        try:
            return await call
        finally:
            self.waits.append((name, perf_counter() - began))

    def _same(self, what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            self.errors.append(f"{what} after {self._act}: got {got!r}, wanted {wanted!r}")

    def _one(self) -> Document:
        return self.ledger[self._random.choice(sorted(self.ledger))]

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _fresh(self) -> Document:
        n = self._next()
        return {
            "_id": ObjectId(),
            "owner": self.name,
            "name": f"agent {n}",
            "group": n % _GROUPS,
            "capabilities": ["plan", {"depth": n}],
            "autonomy_level": n % 5,
            "created_at": datetime(2024, 1, 1, 12, 0, n % 60, 123000),
            "n": n,
        }


class _Abort(Exception):
    pass


_ACTS: Sequence[Callable[[Worker], Awaitable[None]]] = (
    Worker.insert,
    Worker.insert,
    Worker.insert_many,
    Worker.set,
    Worker.set,
    Worker.inc_and_push,
    Worker.replace,
    Worker.delete,
    Worker.find_one_and_update,
    Worker.update_many,
    Worker.delete_many,
    Worker.bulk_write,
    Worker.transaction,
)


class Traffic:
    """Workers that go on until they are stopped, and that can be made to pause."""

    def __init__(self, workers: Sequence[Worker], *, pause: float = 0.005) -> None:
        self.workers = workers
        self._pause = pause
        self._stopped = False
        self._going = asyncio.Event()
        self._going.set()
        self._busy = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def errors(self) -> list[str]:
        return [f"{worker.name}: {error}" for worker in self.workers for error in worker.errors]

    @property
    def ledger(self) -> dict[ObjectId, Document]:
        return {identity: one for worker in self.workers for identity, one in worker.ledger.items()}

    def seen(self) -> dict[str, int]:
        """How often each kind of call was made and acknowledged."""
        total: dict[str, int] = {}
        for worker in self.workers:
            for name, count in worker.seen.items():
                total[name] = total.get(name, 0) + count
        return total

    def waits(self) -> list[float]:
        """The seconds that each call took since this was asked last."""
        found = [seconds for worker in self.workers for _, seconds in worker.waits]
        for worker in self.workers:
            worker.waits.clear()
        return found

    async def __aenter__(self) -> Traffic:
        self._tasks = [asyncio.create_task(self._run(worker)) for worker in self.workers]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopped = True
        self._going.set()
        await asyncio.gather(*self._tasks)

    async def steps(self, count: int) -> None:
        """Wait until every worker has made so many acknowledged calls more."""
        goals = [sum(worker.seen.values()) + count for worker in self.workers]
        while any(
            sum(worker.seen.values()) < goal and not worker.errors
            for worker, goal in zip(self.workers, goals, strict=True)
        ):
            for task in self._tasks:
                if task.done():  # by what no worker handles, as a time-out of the test's own is
                    task.result()
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nobody is in the middle of anything inside the block."""
        self._going.clear()
        while self._busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            self._going.set()

    async def _run(self, worker: Worker) -> None:
        while not self._stopped:
            await self._going.wait()
            self._busy += 1
            try:
                await worker.step()
            finally:
                self._busy -= 1
            await asyncio.sleep(self._pause)


@asynccontextmanager
async def session_of(client: Any) -> AsyncIterator[Any]:
    """A session of either façade's client."""
    async with await awaited(client.start_session()) as session:
        yield session


async def awaited(value: Any) -> Any:
    """What PyMongo Async gives at once and Motor to be awaited, or the other way round."""
    return await value if inspect.isawaitable(value) else value


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
