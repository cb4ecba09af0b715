"""Motor's collection over a router."""

from __future__ import annotations

from functools import partial
from typing import Any

from motor import metaprogramming
from motor.motor_asyncio import AsyncIOMotorCollection as DriverCollection

from shadow.facade.aggregates import aggregate
from shadow.facade.altering import drop, list_indexes
from shadow.facade.elsewhere import aggregated, renamed
from shadow.facade.forward import forwarded, session_in
from shadow.facade.futures import future, start
from shadow.facade.like import like
from shadow.facade.methods import RoutedMethods
from shadow.facade.motor_cursor import (
    AsyncIOMotorChangeStream,
    AsyncIOMotorCursor,
    AsyncIOMotorLatentCommandCursor,
    AsyncIOMotorRawBatchCursor,
    CommandCursor,
)
from shadow.facade.plain import plain_database
from shadow.facade.seat import Seat
from shadow.facade.unrouted import Unrouted
from shadow.ops.driver import Driver

# Beyond Motor's stubs.
_args: Any = metaprogramming.unwrap_args_session
_kwargs: Any = metaprogramming.unwrap_kwargs_session
_Hidden: Any = DriverCollection


def _counted(method: Any, writes: Any) -> Any:
    return future(forwarded(method, writes), method, writes)


def _reaching(routed: Any, method: Any) -> Any:
    return future(routed(method), method, None)


async def _drop(self: Any, *args: Any, **kwargs: Any) -> None:
    legacy = partial(DriverCollection.drop, self._seat.driver.collection, *args, **kwargs)
    await drop(self._seat, legacy, session_in(args, kwargs))


class AsyncIOMotorCollection(DriverCollection[Any]):
    """`motor.motor_asyncio.AsyncIOMotorCollection` over a router. Arguments as there."""

    @like(_Hidden.__init__)
    def __init__(self, database: Any, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, name, *args, **kwargs)
        plain = DriverCollection(plain_database(database.client, database.name), name, _delegate=self.delegate)
        router = database.client._shadow_binding.router(database.name, name) or Unrouted()
        self._seat = Seat(router, Driver(plain, self.delegate))

    def __getitem__(self, name: str) -> Any:
        return self.database.wrap(self.delegate["" + name])  # which takes nothing but text

    @like(DriverCollection.find)
    def find(self, *args: Any, **kwargs: Any) -> AsyncIOMotorCursor:
        return AsyncIOMotorCursor(self.delegate.find(*_args(args), **_kwargs(kwargs)), self)

    @like(DriverCollection.find_raw_batches)
    def find_raw_batches(self, *args: Any, **kwargs: Any) -> AsyncIOMotorRawBatchCursor:
        return AsyncIOMotorRawBatchCursor(self.delegate.find_raw_batches(*_args(args), **_kwargs(kwargs)), self)

    @like(DriverCollection.aggregate)
    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> AsyncIOMotorLatentCommandCursor:
        return AsyncIOMotorLatentCommandCursor(self, self._async_aggregate, pipeline, *_args(args), **_kwargs(kwargs))

    def _async_aggregate(self, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(_Hidden._async_aggregate, self._seat.driver.collection, *args, **kwargs)
        return start(self.get_io_loop(), aggregate(self, legacy, CommandCursor, *args, **kwargs))

    def _async_list_indexes(self, session: Any = None, **options: Any) -> Any:
        legacy = partial(_Hidden._async_list_indexes, self._seat.driver.collection, session=session, **options)

        def cursor(reply: Any) -> Any:
            return CommandCursor(self.delegate, reply, None, comment=options.get("comment"))

        listed = list_indexes(self._seat, legacy, cursor, session, options.get("comment"))
        return start(self.get_io_loop(), listed)

    @like(DriverCollection.watch)
    def watch(self, *args: Any, **kwargs: Any) -> AsyncIOMotorChangeStream:
        target: Any = self
        return AsyncIOMotorChangeStream(target, **super().watch(*args, **kwargs)._kwargs)

    async def _shadow_watch(self, legacy: Any) -> bool:
        """Open a change stream, counted; False where the driver may open it by itself."""
        if self._seat.router.quiet:
            return False
        await self._seat.router.other("watch", False, legacy)
        return True

    # fmt: off
    bulk_write = future(RoutedMethods.bulk_write,                   DriverCollection.bulk_write, True)
    count_documents = future(RoutedMethods.count_documents,         DriverCollection.count_documents, False)
    create_index = future(RoutedMethods.create_index,               DriverCollection.create_index, True)
    create_indexes = future(RoutedMethods.create_indexes,           DriverCollection.create_indexes, True)
    delete_many = future(RoutedMethods.delete_many,                 DriverCollection.delete_many, True)
    delete_one = future(RoutedMethods.delete_one,                   DriverCollection.delete_one, True)
    distinct = future(RoutedMethods.distinct,                       DriverCollection.distinct, False)
    drop = future(_drop,                                            DriverCollection.drop, True)
    drop_index = future(RoutedMethods.drop_index,                   DriverCollection.drop_index, True)
    drop_indexes = future(RoutedMethods.drop_indexes,               DriverCollection.drop_indexes, True)
    estimated_document_count = future(
        RoutedMethods.estimated_document_count, DriverCollection.estimated_document_count, False
    )
    find_one = future(RoutedMethods.find_one,                       DriverCollection.find_one, False)
    find_one_and_delete = future(RoutedMethods.find_one_and_delete, DriverCollection.find_one_and_delete, True)
    find_one_and_replace = future(RoutedMethods.find_one_and_replace, DriverCollection.find_one_and_replace, True)
    find_one_and_update = future(RoutedMethods.find_one_and_update, DriverCollection.find_one_and_update, True)
    index_information = future(RoutedMethods.index_information,     DriverCollection.index_information, False)
    insert_many = future(RoutedMethods.insert_many,                 DriverCollection.insert_many, True)
    insert_one = future(RoutedMethods.insert_one,                   DriverCollection.insert_one, True)
    replace_one = future(RoutedMethods.replace_one,                 DriverCollection.replace_one, True)  # type: ignore[assignment]  # stub without sort
    update_many = future(RoutedMethods.update_many,                 DriverCollection.update_many, True)
    update_one = future(RoutedMethods.update_one,                   DriverCollection.update_one, True)  # type: ignore[assignment]  # stub without sort

    # method                                                                  writes
    _async_aggregate_raw_batches = _reaching(aggregated, _Hidden._async_aggregate_raw_batches)
    _async_list_search_indexes = _counted(_Hidden._async_list_search_indexes, False)
    create_search_index = _counted(DriverCollection.create_search_index,      True)
    create_search_indexes = _counted(DriverCollection.create_search_indexes,  True)
    drop_search_index = _counted(DriverCollection.drop_search_index,          True)
    options = _counted(DriverCollection.options,                              False)
    rename = _reaching(renamed, DriverCollection.rename)
    update_search_index = _counted(DriverCollection.update_search_index,      True)
    # fmt: on
