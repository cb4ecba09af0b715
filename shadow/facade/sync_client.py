"""PyMongo's synchronous client and session over a runtime."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import Any

from pymongo.client_session import ClientSession as DriverSession
from pymongo.mongo_client import MongoClient as DriverClient

from shadow.facade import transactions
from shadow.facade.binding import attach, name_connections, named
from shadow.facade.client_bulk import ClientBulk
from shadow.facade.contract import Binding
from shadow.facade.elsewhere import pass_through, reach_of_clients_watch, reach_of_drop
from shadow.facade.forward import session_in
from shadow.facade.like import D, like
from shadow.facade.plain import options_of
from shadow.facade.sync_database import Database
from shadow.facade.waiting import as_awaited, at_once
from shadow.ops.driver import unit_of
from shadow.runtime.portal import portal


class ClientSession(DriverSession):
    """`pymongo.client_session.ClientSession` whose transactions are units."""

    @like(DriverSession.start_transaction)
    def start_transaction(self, *args: Any, **kwargs: Any) -> Any:
        context = super().start_transaction(*args, **kwargs)
        transactions.begin(self._client._shadow_binding, self)
        return context

    def commit_transaction(self) -> None:
        self._shadow_end(transactions.commit, super().commit_transaction)

    def abort_transaction(self) -> None:
        self._shadow_end(transactions.abort, super().abort_transaction)

    def _shadow_end(self, end: Callable[..., Coroutine[Any, Any, None]], driver_end: Callable[[], None]) -> None:
        if unit_of(self) is None:
            driver_end()
        else:
            portal().run(end(self, portal().posted(driver_end), transactions.patience_of(self)))


class MongoClient(DriverClient[D]):
    """`pymongo.MongoClient` whose configured collections are the façade's. Arguments as there."""

    @like(DriverClient.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **named(DriverClient, kwargs))
        name_connections(self)

    @cached_property
    def _shadow_binding(self) -> Binding:
        return attach("pymongo", self)

    @cached_property
    def _shadow_databases(self) -> dict[str, Database[D]]:
        # Many applications write ``client.db.collection`` at every call.
        return {}

    def __getitem__(self, name: str) -> Database[D]:
        database = self._shadow_databases.get(name)
        if database is None:
            database = self._shadow_databases[name] = Database(self, name)
        return database

    @like(DriverClient.get_database)
    def get_database(self, *args: Any, **kwargs: Any) -> Database[D]:
        return self._shadow_database(super().get_database(*args, **kwargs))

    @like(DriverClient.get_default_database)
    def get_default_database(self, *args: Any, **kwargs: Any) -> Database[D]:
        return self._shadow_database(super().get_default_database(*args, **kwargs))

    def _shadow_database(self, database: Any) -> Database[D]:
        return Database(self, database.name, **options_of(database))

    @like(DriverClient.bulk_write)
    def bulk_write(self, models: Any, *args: Any, **kwargs: Any) -> Any:
        bulk_write = super().bulk_write

        async def directly(*args: Any, **kwargs: Any) -> Any:
            return bulk_write(*args, **kwargs)

        return at_once(ClientBulk(self, directly, models, *args, **kwargs).run())

    @like(DriverClient.drop_database)
    def drop_database(self, name_or_database: Any, *args: Any, **kwargs: Any) -> None:
        reach, singly = portal().run(reach_of_drop(self._shadow_binding, name_or_database))
        if singly:
            for database, collection in reach.written:
                self[database][collection].drop(*args, **kwargs)
            return
        on_legacy = as_awaited(partial(super().drop_database, name_or_database, *args, **kwargs))
        at_once(pass_through(self, reach, on_legacy, session_in(args, kwargs)))

    @like(DriverClient.watch)
    def watch(self, *args: Any, **kwargs: Any) -> Any:
        legacy = as_awaited(partial(super().watch, *args, **kwargs))
        reach = portal().run(reach_of_clients_watch(self._shadow_binding))
        return at_once(pass_through(self, reach, legacy, session_in(args, kwargs)))

    @like(DriverClient.start_session)
    def start_session(self, *args: Any, **kwargs: Any) -> ClientSession:
        session = super().start_session(*args, **kwargs)
        return ClientSession(self, session._server_session, session.options, False)
