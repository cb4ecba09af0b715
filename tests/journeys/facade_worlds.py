"""The same collections by the bare driver and by a façade: over one router, or over the whole runtime in each phase."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import motor.motor_asyncio
import pymongo
from pymongo.errors import AutoReconnect

import shadow.motor
import shadow.pymongo
from shadow import runtime
from shadow.config import load
from shadow.runtime.portal import portal
from shadow.schema import apply
from shadow_adapters.mongo.store import MongoStore
from tests.journeys.facade_awaited import awaited
from tests.journeys.facade_calls import SEED
from tests.journeys.facade_new import NewRouter
from tests.journeys.facade_support import FakeBinding, bind, outcome, plain
from tests.journeys.runtime_support import until

CLIENTS: dict[str, tuple[Any, Any]] = {
    "motor": (motor.motor_asyncio.AsyncIOMotorClient, shadow.motor.AsyncIOMotorClient),
    "pymongo": (pymongo.AsyncMongoClient, shadow.pymongo.AsyncMongoClient),
    "sync": (pymongo.MongoClient, shadow.pymongo.MongoClient),
}

PHASES = ("legacy", "dual_write", "shadow_read", "read_new", "write_new", "new")
ARMED = PHASES[3:]
LED_BY_NEW = PHASES[4:]


class Clients:
    """A client of the bare driver's and a façade's, both in the shape of Motor's."""

    def __init__(self, shape: str, uri: str) -> None:
        bare, facade = CLIENTS[shape]
        self._made = bare(uri), facade(uri)
        self.clients = awaited(self._made[0]), awaited(self._made[1])

    async def close(self) -> None:
        for client in self.clients:
            closing = client.close()
            if closing is not None:
                await closing


class Pair(Clients):
    """The same collection twice: the bare driver's and a façade's."""

    def __init__(self, shape: str, uri: str, router: Any) -> None:
        super().__init__(shape, uri)
        self.router = router
        self.binding: FakeBinding = bind(self._made[1], router)
        self.bare = self.clients[0].get_default_database()["bare"]
        self.facade = self.clients[1].get_default_database()["routed"]

    @property
    def raw(self) -> Any:
        """The façade's collection through the bare driver."""
        return self.clients[0].get_default_database()["routed"]

    @property
    def shown(self) -> Any:
        """What shows the façade's records and indexes: the bare driver, and the façade itself where they are on new."""
        return self.facade if isinstance(self.router, NewRouter) else self.raw

    async def seed(self) -> None:
        await _seed(self.bare, self.shown)


class World(Clients):
    """Two clients over one configuration, with a collection, named as its phase, settled in each phase."""

    def __init__(self, shape: str, uri: str) -> None:
        super().__init__(shape, uri)
        self.bare, self.facade = (client.get_default_database() for client in self.clients)

    def pair(self, name: str) -> tuple[Any, Any]:
        return self.bare[f"bare_{name}"], self.facade[name]

    def plain(self, name: str) -> Any:
        """The façade's collection through the bare driver."""
        return self.bare[name]

    async def seed(self, *names: str) -> None:
        for name in names:
            await _seed(*self.pair(name))

    async def knows_its_phases(self) -> bool:
        """Whether this process does, which may take longer than a call waits: then legacy, armed, refuses the call."""
        try:
            await self.facade["new"].find_one({})
        except AutoReconnect:
            return False
        return True


async def _seed(*collections: Any) -> None:
    for collection in collections:
        await collection.delete_many({})
        await collection.insert_many(copy.deepcopy(SEED))


async def both(pair: Pair, call: Any) -> tuple[Any, Any]:
    return await outcome(lambda: call(pair.bare)), await outcome(lambda: call(pair.facade))


async def stored(collection: Any) -> Any:
    return plain(await collection.find(sort=[("a", 1), ("_id", 1)]).to_list(None))


@asynccontextmanager
async def pair_on(shape: str, mongo_uri: str, router: Any) -> AsyncIterator[Pair]:
    """A seeded pair over a router that the test can see through."""
    made = Pair(shape, mongo_uri, router)
    try:
        await made.seed()
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def pair_on_new(shape: str, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    """An empty pair whose façade PostgreSQL answers."""

    async def where(coroutine: Any) -> Any:
        """In the loop that makes the façade's calls."""
        return portal().run(coroutine) if shape == "sync" else await coroutine

    router = await where(NewRouter.make(postgres_dsn, "routed", "d.routed"))
    made = Pair(shape, mongo_uri, router)
    try:
        yield made
    finally:
        await made.close()
        await where(router.pool.close())


@asynccontextmanager
async def world_of(
    shape: str,
    mongo_uri: str,
    postgres_dsn: str,
    tmp_path: Path,
    prefixes: Sequence[str] = ("",),
    sample_rate: float = 1.0,
) -> AsyncIterator[World]:
    """The whole runtime in this process, which knows its phases.

    ``prefixes``: of the collections' names; there is one in each phase for each prefix.
    """
    made = World(shape, mongo_uri)
    phases = {f"{prefix}{phase}": phase for prefix in prefixes for phase in PHASES}
    path = tmp_path / "shadow.toml"
    path.write_text(
        f'[stores]\nmongo = "{mongo_uri}"\npostgres = "{postgres_dsn}"\n'
        f'[protocol]\njournal = "{tmp_path / "journal"}"\n'
        '[gates]\nwaived = ["mismatches", "latency", "errors"]\n'  # no breaker: the stand-in differs in places
        + "".join(
            f'[entities.in_{name}]\nlegacy = {{ mongo = "{made.bare.name}.{name}" }}\nphase = "{phase}"\n'
            f"sample_rate = {sample_rate}\n"
            for name, phase in phases.items()
        )
    )
    settings = load(path)
    conn = await asyncpg.connect(postgres_dsn)
    await apply(settings, conn)
    await conn.executemany(
        "INSERT INTO shadow.entity (entity, phase, backfill) VALUES ('in_' || $1, $2, 'done') "
        "ON CONFLICT (entity) DO UPDATE SET phase = excluded.phase, backfill = excluded.backfill",
        list(phases.items()),
    )
    await conn.close()
    async with pymongo.AsyncMongoClient[Any](mongo_uri) as client:
        for name, phase in phases.items():
            if phase in ARMED:  # as the step there would have: no call takes legacy for the truth
                await MongoStore(client, made.bare.name, name, f"in_{name}").arm()
    runtime.install(settings)
    try:
        await until(made.knows_its_phases, "the phases")
        yield made
    finally:
        await made.close()
        await asyncio.to_thread(runtime.uninstall)
