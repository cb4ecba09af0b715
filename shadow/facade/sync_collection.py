"""PyMongo's synchronous collection over a router."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from pymongo.collection import Collection as DriverCollection

from shadow.facade.aggregates import aggregate
from shadow.facade.altering import list_indexes
from shadow.facade.elsewhere import aggregated, renamed
from shadow.facade.forward import forwarded
from shadow.facade.like import D, like
from shadow.facade.methods import RoutedMethods
from shadow.facade.plain import options_of, plain_database
from shadow.facade.posted import PostedCollection
from shadow.facade.seat import Seat, given
from shadow.facade.sync_cursor import CommandCursor, Cursor, RawBatchCursor
from shadow.facade.unrouted import Unrouted
from shadow.facade.waiting import WaitingRouter, as_awaited, at_once, awaitable, waited
from shadow.ops.driver import Driver

M = TypeVar("M", bound=Callable[..., Any])


def _routed(method: M, writes: bool) -> M:
    return waited(getattr(RoutedMethods, method.__name__), method, writes)


def _counted(method: Any, writes: bool) -> Any:
    return waited(forwarded(awaitable(method), writes), method, writes)


def _reaching(routed: Any, method: Any) -> Any:
    return waited(routed(awaitable(method)), method, None)


class Collection(DriverCollection[D]):
    """`pymongo.collection.Collection` over a router. Arguments as there.

    ``drop`` is the driver's: it ends in the façade database's `drop_collection`.
    """

    @like(DriverCollection.__init__)
    def __init__(self, database: Any, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, name, *args, **kwargs)
        plain = plain_database(database.client, database.name).get_collection(name, **options_of(self))
        router = database.client._shadow_binding.router(database.name, name)
        self._seat = Seat(
            Unrouted() if router is None else WaitingRouter(router), Driver(PostedCollection(plain), plain)
        )

    def __getitem__(self, name: str) -> DriverCollection[D]:
        return self._database.get_collection(f"{self._name}.{name}", **options_of(self))

    @like(DriverCollection.with_options)
    def with_options(self, *args: Any, **kwargs: Any) -> Collection[D]:
        changed = self._seat.driver.core.with_options(*args, **kwargs)
        return Collection(self._database, self._name, **options_of(changed))

    @like(DriverCollection.find)
    def find(self, *args: Any, **kwargs: Any) -> Cursor[D]:
        return Cursor(self, *args, **kwargs)

    @like(DriverCollection.find_raw_batches)
    def find_raw_batches(self, *args: Any, **kwargs: Any) -> RawBatchCursor:
        self._seat.driver.core.find_raw_batches(*args, **kwargs)  # refuses what the driver refuses
        return RawBatchCursor(self, *args, **kwargs)

    @like(DriverCollection.aggregate)
    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        legacy = as_awaited(partial(DriverCollection.aggregate, self._seat.driver.core, *args, **kwargs))
        return at_once(aggregate(self, legacy, CommandCursor, *args, **kwargs))

    @like(DriverCollection.list_indexes)
    def list_indexes(self, session: Any = None, comment: Any = None) -> Any:
        legacy = partial(self._seat.driver.collection.list_indexes, session=session, **given(comment=comment))

        def cursor(reply: Any) -> Any:
            return CommandCursor(self, reply, None, session=session, comment=comment)

        return at_once(list_indexes(self._seat, legacy, cursor, session, comment))

    # fmt: off
    # method                                                                 writes
    bulk_write = _routed(DriverCollection.bulk_write,                        True)
    count_documents = _routed(DriverCollection.count_documents,              False)
    create_index = _routed(DriverCollection.create_index,                    True)
    create_indexes = _routed(DriverCollection.create_indexes,                True)
    delete_many = _routed(DriverCollection.delete_many,                      True)
    delete_one = _routed(DriverCollection.delete_one,                        True)
    distinct = _routed(DriverCollection.distinct,                            False)
    drop_index = _routed(DriverCollection.drop_index,                        True)
    drop_indexes = _routed(DriverCollection.drop_indexes,                    True)
    estimated_document_count = _routed(DriverCollection.estimated_document_count,False)
    find_one = _routed(DriverCollection.find_one,                            False)
    find_one_and_delete = _routed(DriverCollection.find_one_and_delete,      True)
    find_one_and_replace = _routed(DriverCollection.find_one_and_replace,    True)
    find_one_and_update = _routed(DriverCollection.find_one_and_update,      True)
    index_information = _routed(DriverCollection.index_information,          False)
    insert_many = _routed(DriverCollection.insert_many,                      True)
    insert_one = _routed(DriverCollection.insert_one,                        True)
    replace_one = _routed(DriverCollection.replace_one,                      True)
    update_many = _routed(DriverCollection.update_many,                      True)
    update_one = _routed(DriverCollection.update_one,                        True)

    aggregate_raw_batches = _reaching(aggregated, DriverCollection.aggregate_raw_batches)
    create_search_index = _counted(DriverCollection.create_search_index,     True)
    create_search_indexes = _counted(DriverCollection.create_search_indexes, True)
    drop_search_index = _counted(DriverCollection.drop_search_index,         True)
    list_search_indexes = _counted(DriverCollection.list_search_indexes,     False)
    options = _counted(DriverCollection.options,                             False)
    rename = _reaching(renamed, DriverCollection.rename)
    update_search_index = _counted(DriverCollection.update_search_index,     True)
    watch = _counted(DriverCollection.watch,                                 False)
    # fmt: on
