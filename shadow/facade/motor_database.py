"""Motor's database over a runtime: it tells configured collections from others."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from bson.dbref import DBRef
from motor.motor_asyncio import AsyncIOMotorCommandCursor as DriverCommandCursor
from motor.motor_asyncio import AsyncIOMotorDatabase as DriverDatabase
from pymongo.collection import Collection
from pymongo.command_cursor import CommandCursor

from shadow.facade import altering
from shadow.facade.commands import run_command
from shadow.facade.elsewhere import Reach, pass_through, reach_of_aggregate, reach_of_watch
from shadow.facade.forward import session_in
from shadow.facade.futures import start
from shadow.facade.like import like
from shadow.facade.listing import filter_in, listed_documents, listed_names
from shadow.facade.motor_collection import AsyncIOMotorCollection
from shadow.facade.motor_cursor import AsyncIOMotorChangeStream
from shadow.facade.own import owns, router_of


class AsyncIOMotorDatabase(DriverDatabase[Any]):
    """`motor.motor_asyncio.AsyncIOMotorDatabase` whose configured collections are the façade's."""

    @cached_property
    def _shadow_collections(self) -> dict[str, AsyncIOMotorCollection]:
        return {}

    def __getitem__(self, name: str) -> Any:
        known = self._shadow_collections.get(name)
        if known is not None:
            return known
        if not owns(self, name):
            return super().__getitem__(name)
        made = self._shadow_collections[name] = AsyncIOMotorCollection(self, name)
        return made

    def wrap(self, obj: Any) -> Any:
        """Motor's own hook: PyMongo's object as Motor's."""
        if obj.__class__ is Collection and owns(self, obj.name):
            return AsyncIOMotorCollection(self, obj.name, _delegate=obj)
        return super().wrap(obj)

    @like(DriverDatabase.command)
    def command(self, *args: Any, **kwargs: Any) -> Any:
        return start(self.get_io_loop(), run_command(self, super().command, args, kwargs))

    @like(DriverDatabase.cursor_command)
    async def cursor_command(self, *args: Any, **kwargs: Any) -> Any:
        return await run_command(self, super().cursor_command, args, kwargs, self._shadow_cursor)

    def _shadow_cursor(self, session: Any, reply: Any) -> Any:
        core = CommandCursor(self.delegate.get_collection("$cmd"), reply["cursor"], None)
        database: Any = self  # where Motor, too, has no collection
        return DriverCommandCursor(core, database)

    @like(DriverDatabase.dereference)
    def dereference(self, dbref: Any, *args: Any, **kwargs: Any) -> Any:
        on_legacy = partial(super().dereference, dbref, *args, **kwargs)
        if not isinstance(dbref, DBRef) or dbref.database not in (None, self.name):
            return on_legacy()  # which refuses it
        collection = self[dbref.collection]
        if not isinstance(collection, AsyncIOMotorCollection):
            return on_legacy()
        # The arguments in front of find_one's own
        options = dict(zip(("session", "comment"), args, strict=False)) | kwargs
        return collection.find_one({"_id": dbref.id}, **options)

    def _async_aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        hidden: Any = super()
        legacy = partial(hidden._async_aggregate, pipeline, *args, **kwargs)
        reach = reach_of_aggregate(self.name, pipeline)
        return start(self.get_io_loop(), pass_through(self._client, reach, legacy, session_in(args, kwargs)))

    @like(DriverDatabase.list_collection_names)
    def list_collection_names(self, *args: Any, **kwargs: Any) -> Any:
        return start(self.get_io_loop(), self._shadow_names(super().list_collection_names, args, kwargs))

    async def _shadow_names(self, names: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        led = await self._client._shadow_binding.led_by_new(self.name)
        found: list[str] = await names(*args, **kwargs)
        return listed_names(found, led, filter_in(args, kwargs)) if led else found

    @like(DriverDatabase.list_collections)
    async def list_collections(self, *args: Any, **kwargs: Any) -> Any:
        led = await self._client._shadow_binding.led_by_new(self.name)
        cursor: Any = await super().list_collections(*args, **kwargs)
        if not led:
            return cursor
        name_only = bool(kwargs.get("nameOnly"))
        listed = listed_documents(await cursor.to_list(None), led, filter_in(args, kwargs), name_only=name_only)
        return self._shadow_cursor(None, {"cursor": {"firstBatch": listed, "id": 0}})

    @like(DriverDatabase.watch)
    def watch(self, *args: Any, **kwargs: Any) -> AsyncIOMotorChangeStream:
        target: Any = self
        stream: Any = super().watch(*args, **kwargs)
        return AsyncIOMotorChangeStream(target, **stream._kwargs)

    async def _shadow_watch(self, legacy: Any) -> bool:
        reach = await reach_of_watch(self._client._shadow_binding, [self.name])
        await pass_through(self._client, reach, legacy, None)
        return True

    @like(DriverDatabase.validate_collection)
    def validate_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> Any:
        on_legacy = partial(super().validate_collection, name_or_collection, *args, **kwargs)
        name = getattr(name_or_collection, "name", name_or_collection)
        reach = Reach("validate", ((self.name, name),) if isinstance(name, str) else ())
        through = pass_through(self._client, reach, on_legacy, session_in(args, kwargs))
        return start(self.get_io_loop(), through)

    @like(DriverDatabase.drop_collection)
    def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> Any:
        drop = super().drop_collection
        name = name_or_collection if isinstance(name_or_collection, str) else name_or_collection.name
        if router_of(self, name) is None:
            return drop(name_or_collection, *args, **kwargs)
        on_legacy = partial(drop, name_or_collection, *args, **kwargs)
        return start(self.get_io_loop(), altering.drop(self[name]._seat, on_legacy, session_in(args, kwargs)))

    @like(DriverDatabase.create_collection)
    async def create_collection(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(super().create_collection, name, *args, **kwargs)
        if router_of(self, name) is None:
            return await legacy()
        given = altering.created(DriverDatabase.create_collection, self, name, *args, **kwargs)
        configured: Any = self.get_collection(name, **given.shown)
        await altering.create(configured._seat, legacy, given.session, given.check_exists, given.asked)
        return configured
