"""PyMongo Async's database over a runtime: it tells configured collections from others."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection as DriverCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.database import AsyncDatabase as DriverDatabase

from shadow.facade.altering import create, created, drop
from shadow.facade.commands import run_command
from shadow.facade.elsewhere import pass_through, reach_of_aggregate, reach_of_watch
from shadow.facade.forward import session_in
from shadow.facade.like import D, like
from shadow.facade.listing import filter_in, listed_documents, listed_names
from shadow.facade.own import owns, router_of
from shadow.facade.plain import options_of
from shadow.facade.pymongo_collection import AsyncCollection


class AsyncDatabase(DriverDatabase[D]):
    """`pymongo.asynchronous.database.AsyncDatabase` whose configured collections are the façade's."""

    @cached_property
    def _shadow_collections(self) -> dict[str, AsyncCollection[D]]:
        return {}

    def __getitem__(self, name: str) -> DriverCollection[D]:
        known = self._shadow_collections.get(name)
        if known is not None:
            return known
        collection = self.get_collection(name)
        if isinstance(collection, AsyncCollection):
            self._shadow_collections[name] = collection
        return collection

    @like(DriverDatabase.get_collection)
    def get_collection(self, name: str, *args: Any, **kwargs: Any) -> DriverCollection[D]:
        if not owns(self, name):
            return super().get_collection(name, *args, **kwargs)
        return AsyncCollection(self, name, False, *args, **kwargs)

    @like(DriverDatabase.with_options)
    def with_options(self, *args: Any, **kwargs: Any) -> AsyncDatabase[D]:
        changed = super().with_options(*args, **kwargs)
        return AsyncDatabase(self._client, self._name, **options_of(changed))

    @like(DriverDatabase.create_collection)
    async def create_collection(self, name: Any, *args: Any, **kwargs: Any) -> DriverCollection[D]:
        legacy = partial(super().create_collection, name, *args, **kwargs)
        if router_of(self, name) is None:
            return await legacy()
        given = created(DriverDatabase.create_collection, self, name, *args, **kwargs)
        configured = self.get_collection(name, **given.shown)
        assert isinstance(configured, AsyncCollection)
        await create(configured._seat, legacy, given.session, given.check_exists, given.asked)
        return configured

    @like(DriverDatabase.command)
    async def command(self, *args: Any, **kwargs: Any) -> Any:
        return await run_command(self, super().command, args, kwargs)

    @like(DriverDatabase.cursor_command)
    async def cursor_command(self, *args: Any, **kwargs: Any) -> Any:
        return await run_command(self, super().cursor_command, args, kwargs, self._shadow_cursor)

    def _shadow_cursor(self, session: Any, reply: Any) -> AsyncCommandCursor[Any]:
        return AsyncCommandCursor(self.get_collection("$cmd"), reply["cursor"], None, session=session)

    @like(DriverDatabase.aggregate)
    async def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(super().aggregate, pipeline, *args, **kwargs)
        reach = reach_of_aggregate(self._name, pipeline)
        return await pass_through(self._client, reach, legacy, session_in(args, kwargs))

    @like(DriverDatabase.list_collection_names)
    async def list_collection_names(self, *args: Any, **kwargs: Any) -> Any:
        led = await self._client._shadow_binding.led_by_new(self._name)
        names = await super().list_collection_names(*args, **kwargs)
        return listed_names(names, led, filter_in(args, kwargs)) if led else names

    @like(DriverDatabase.list_collections)
    async def list_collections(self, *args: Any, **kwargs: Any) -> Any:
        led = await self._client._shadow_binding.led_by_new(self._name)
        cursor = await super().list_collections(*args, **kwargs)
        if not led:
            return cursor
        name_only = bool(kwargs.get("nameOnly"))
        listed = listed_documents([each async for each in cursor], led, filter_in(args, kwargs), name_only=name_only)
        return self._shadow_cursor(session_in(args, kwargs), {"cursor": {"firstBatch": listed, "id": 0}})

    @like(DriverDatabase.watch)
    async def watch(self, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(super().watch, *args, **kwargs)
        reach = await reach_of_watch(self._client._shadow_binding, [self._name])
        return await pass_through(self._client, reach, legacy, session_in(args, kwargs))

    @like(DriverDatabase.drop_collection)
    async def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        name = getattr(name_or_collection, "name", name_or_collection)

        async def on_legacy() -> dict[str, Any]:
            return await super(AsyncDatabase, self).drop_collection(name_or_collection, *args, **kwargs)

        configured = self[name] if router_of(self, name) is not None else None
        if not isinstance(configured, AsyncCollection):
            return await on_legacy()
        session = session_in(args, kwargs)
        dropped: dict[str, Any] = await drop(configured._seat, on_legacy, session)
        return dropped
