"""PyMongo Async's client and session over a runtime."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession as DriverSession
from pymongo.asynchronous.mongo_client import AsyncMongoClient as DriverClient

from shadow.facade import transactions
from shadow.facade.binding import attach, name_connections, named
from shadow.facade.client_bulk import ClientBulk
from shadow.facade.contract import Binding
from shadow.facade.elsewhere import drop_database, pass_through, reach_of_clients_watch
from shadow.facade.forward import session_in
from shadow.facade.like import D, like
from shadow.facade.plain import options_of
from shadow.facade.pymongo_database import AsyncDatabase


class AsyncClientSession(DriverSession):
    """`pymongo.asynchronous.client_session.AsyncClientSession` whose transactions are units."""

    @like(DriverSession.start_transaction)
    async def start_transaction(self, *args: Any, **kwargs: Any) -> Any:
        context = await super().start_transaction(*args, **kwargs)
        transactions.begin(self._client._shadow_binding, self)
        return context

    async def commit_transaction(self) -> None:
        await transactions.commit(self, super().commit_transaction, transactions.patience_of(self))

    async def abort_transaction(self) -> None:
        await transactions.abort(self, super().abort_transaction, transactions.patience_of(self))


class AsyncMongoClient(DriverClient[D]):
    """`pymongo.AsyncMongoClient` whose configured collections are the façade's. Arguments as there."""

    @like(DriverClient.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **named(DriverClient, kwargs))
        name_connections(self)

    @cached_property
    def _shadow_binding(self) -> Binding:
        return attach("pymongo", self)

    @cached_property
    def _shadow_databases(self) -> dict[str, AsyncDatabase[D]]:
        # Many applications write ``client.db.collection`` at every call.
        return {}

    def __getitem__(self, name: str) -> AsyncDatabase[D]:
        database = self._shadow_databases.get(name)
        if database is None:
            database = self._shadow_databases[name] = AsyncDatabase(self, name)
        return database

    @like(DriverClient.get_database)
    def get_database(self, *args: Any, **kwargs: Any) -> AsyncDatabase[D]:
        return self._shadow_database(super().get_database(*args, **kwargs))

    @like(DriverClient.get_default_database)
    def get_default_database(self, *args: Any, **kwargs: Any) -> AsyncDatabase[D]:
        return self._shadow_database(super().get_default_database(*args, **kwargs))

    def _shadow_database(self, database: Any) -> AsyncDatabase[D]:
        return AsyncDatabase(self, database.name, **options_of(database))

    @like(DriverClient.bulk_write)
    async def bulk_write(self, models: Any, *args: Any, **kwargs: Any) -> Any:
        return await ClientBulk(self, super().bulk_write, models, *args, **kwargs).run()

    @like(DriverClient.drop_database)
    async def drop_database(self, name_or_database: Any, *args: Any, **kwargs: Any) -> None:
        on_legacy = partial(super().drop_database, name_or_database, *args, **kwargs)
        await drop_database(self, name_or_database, on_legacy, args, kwargs)

    @like(DriverClient.watch)
    async def watch(self, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(super().watch, *args, **kwargs)
        reach = await reach_of_clients_watch(self._shadow_binding)
        return await pass_through(self, reach, legacy, session_in(args, kwargs))

    @like(DriverClient.start_session)
    def start_session(self, *args: Any, **kwargs: Any) -> AsyncClientSession:
        session = super().start_session(*args, **kwargs)
        return AsyncClientSession(self, session._server_session, session.options, False)
