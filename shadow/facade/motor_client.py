"""Motor's client and session over a runtime."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient as DriverClient
from motor.motor_asyncio import AsyncIOMotorClientSession as DriverSession
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.mongo_client import MongoClient

from shadow.facade import transactions
from shadow.facade.binding import attach, name_connections, named
from shadow.facade.client_bulk import ClientBulk
from shadow.facade.contract import Binding
from shadow.facade.elsewhere import drop_database, pass_through, reach_of_clients_watch
from shadow.facade.futures import start
from shadow.facade.like import like
from shadow.facade.motor_cursor import AsyncIOMotorChangeStream
from shadow.facade.motor_database import AsyncIOMotorDatabase


class AsyncIOMotorClientSession(DriverSession):
    """`motor.motor_asyncio.AsyncIOMotorClientSession` whose transactions are units."""

    _client: Any

    @like(DriverSession.start_transaction)
    def start_transaction(self, *args: Any, **kwargs: Any) -> Any:
        context = super().start_transaction(*args, **kwargs)
        transactions.begin(self._client._shadow_binding, self)
        return context

    def commit_transaction(self) -> Any:
        waits = transactions.patience_of(self)
        return start(self.get_io_loop(), transactions.commit(self, super().commit_transaction, waits))

    def abort_transaction(self) -> Any:
        waits = transactions.patience_of(self)
        return start(self.get_io_loop(), transactions.abort(self, super().abort_transaction, waits))

    def end_session(self) -> Any:
        return start(self.get_io_loop(), self._end(super().end_session))

    async def _end(self, driver_end: Any) -> None:
        # The driver aborts by itself what is open, past the unit.
        if self.delegate.in_transaction:
            await self.abort_transaction()
        await driver_end()

    @like(DriverSession.__aexit__)
    async def __aexit__(self, *exc: Any) -> None:
        if self.delegate.in_transaction:
            await self.abort_transaction()
        await super().__aexit__(*exc)


class AsyncIOMotorClient(DriverClient[Any]):
    """`motor.motor_asyncio.AsyncIOMotorClient` whose configured collections are the façade's. Arguments as there."""

    @like(DriverClient.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **named(MongoClient, kwargs))
        name_connections(self.delegate)

    @cached_property
    def _shadow_binding(self) -> Binding:
        return attach("motor", self)

    @cached_property
    def _shadow_databases(self) -> dict[str, AsyncIOMotorDatabase]:
        # Many applications write ``client.db.collection`` at every call.
        return {}

    def __getitem__(self, name: str) -> AsyncIOMotorDatabase:
        database = self._shadow_databases.get(name)
        if database is None:
            database = self._shadow_databases[name] = AsyncIOMotorDatabase(self, name)
        return database

    @like(DriverClient.bulk_write)
    def bulk_write(self, models: Any, *args: Any, **kwargs: Any) -> Any:
        return start(self.get_io_loop(), ClientBulk(self, super().bulk_write, models, *args, **kwargs).run())

    @like(DriverClient.drop_database)
    def drop_database(self, name_or_database: Any, *args: Any, **kwargs: Any) -> Any:
        on_legacy = partial(super().drop_database, name_or_database, *args, **kwargs)
        return start(self.get_io_loop(), drop_database(self, name_or_database, on_legacy, args, kwargs))

    @like(DriverClient.watch)
    def watch(self, *args: Any, **kwargs: Any) -> AsyncIOMotorChangeStream:
        target: Any = self
        stream: Any = super().watch(*args, **kwargs)
        return AsyncIOMotorChangeStream(target, **stream._kwargs)

    async def _shadow_watch(self, legacy: Any) -> bool:
        await pass_through(self, await reach_of_clients_watch(self._shadow_binding), legacy, None)
        return True

    def wrap(self, obj: Any) -> Any:
        """Motor's own hook: PyMongo's object as Motor's."""
        if obj.__class__ is Database:
            return AsyncIOMotorDatabase(self, obj.name, _delegate=obj)
        if obj.__class__ is ClientSession:
            return AsyncIOMotorClientSession(obj, self)
        return super().wrap(obj)
