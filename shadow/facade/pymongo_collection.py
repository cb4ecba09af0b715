"""PyMongo Async's collection over a router."""

from __future__ import annotations

from functools import partial
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection as DriverCollection

from shadow.facade.aggregates import aggregate
from shadow.facade.altering import list_indexes
from shadow.facade.elsewhere import aggregated, renamed
from shadow.facade.forward import forwarded
from shadow.facade.like import D, like
from shadow.facade.methods import RoutedMethods
from shadow.facade.plain import options_of, plain_database
from shadow.facade.pymongo_cursor import AsyncCommandCursor, AsyncCursor, AsyncRawBatchCursor
from shadow.facade.seat import Seat, given
from shadow.facade.unrouted import Unrouted
from shadow.ops.driver import Driver


class AsyncCollection(RoutedMethods, DriverCollection[D]):
    """`pymongo.asynchronous.collection.AsyncCollection` over a router. Arguments as there.

    ``drop`` is the driver's: it ends in the façade database's `drop_collection`.
    """

    @like(DriverCollection.__init__)
    def __init__(self, database: Any, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, name, *args, **kwargs)
        plain = plain_database(database.client, database.name).get_collection(name, **options_of(self))
        router = database.client._shadow_binding.router(database.name, name) or Unrouted()
        self._seat = Seat(router, Driver(plain, plain))

    def __getitem__(self, name: str) -> DriverCollection[D]:
        return self._database.get_collection(f"{self._name}.{name}", **options_of(self))

    @like(DriverCollection.with_options)
    def with_options(self, *args: Any, **kwargs: Any) -> AsyncCollection[D]:
        changed = self._seat.driver.collection.with_options(*args, **kwargs)
        return AsyncCollection(self._database, self._name, **options_of(changed))

    @like(DriverCollection.find)
    def find(self, *args: Any, **kwargs: Any) -> AsyncCursor[D]:
        return AsyncCursor(self, *args, **kwargs)

    @like(DriverCollection.find_raw_batches)
    def find_raw_batches(self, *args: Any, **kwargs: Any) -> AsyncRawBatchCursor:
        self._seat.driver.collection.find_raw_batches(*args, **kwargs)  # refuses what the driver refuses
        return AsyncRawBatchCursor(self, *args, **kwargs)

    @like(DriverCollection.aggregate)
    async def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(DriverCollection.aggregate, self._seat.driver.collection, *args, **kwargs)
        return await aggregate(self, legacy, AsyncCommandCursor, *args, **kwargs)

    @like(DriverCollection.list_indexes)
    async def list_indexes(self, session: Any = None, comment: Any = None) -> Any:
        legacy = partial(self._seat.driver.collection.list_indexes, session=session, **given(comment=comment))

        def cursor(reply: Any) -> Any:
            return AsyncCommandCursor(self, reply, None, session=session, comment=comment)

        return await list_indexes(self._seat, legacy, cursor, session, comment)

    # fmt: off
    # method                                                                  writes
    aggregate_raw_batches = aggregated(DriverCollection.aggregate_raw_batches)
    create_search_index = forwarded(DriverCollection.create_search_index,     True)
    create_search_indexes = forwarded(DriverCollection.create_search_indexes, True)
    drop_search_index = forwarded(DriverCollection.drop_search_index,         True)
    list_search_indexes = forwarded(DriverCollection.list_search_indexes,     False)
    options = forwarded(DriverCollection.options,                             False)
    rename = renamed(DriverCollection.rename)
    update_search_index = forwarded(DriverCollection.update_search_index,     True)
    watch = forwarded(DriverCollection.watch,                                 False)
    # fmt: on
