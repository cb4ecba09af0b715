"""PyMongo's synchronous database over a runtime: it tells configured collections from others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property, partial, wraps
from typing import Any

from pymongo.collection import Collection as DriverCollection
from pymongo.command_cursor import CommandCursor
from pymongo.database import Database as DriverDatabase

from shadow.facade.altering import create, created, drop
from shadow.facade.commands import run_command
from shadow.facade.elsewhere import pass_through, reach_of_aggregate, reach_of_watch
from shadow.facade.forward import session_in
from shadow.facade.like import D, like
from shadow.facade.listing import filter_in, listed_documents, listed_names
from shadow.facade.own import owns, router_of
from shadow.facade.plain import options_of
from shadow.facade.sync_collection import Collection
from shadow.facade.waiting import at_once
from shadow.runtime.portal import in_callers_thread, portal


def _posted(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The driver's method for coroutines, run by the thread that made the call."""

    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await in_callers_thread(partial(method, *args, **kwargs))

    return call


class Database(DriverDatabase[D]):
    """`pymongo.database.Database` whose configured collections are the façade's."""

    @cached_property
    def _shadow_collections(self) -> dict[str, Collection[D]]:
        return {}

    def __getitem__(self, name: str) -> DriverCollection[D]:
        known = self._shadow_collections.get(name)
        if known is not None:
            return known
        collection = self.get_collection(name)
        if isinstance(collection, Collection):
            self._shadow_collections[name] = collection
        return collection

    @like(DriverDatabase.get_collection)
    def get_collection(self, name: str, *args: Any, **kwargs: Any) -> DriverCollection[D]:
        if not owns(self, name):
            return super().get_collection(name, *args, **kwargs)
        return Collection(self, name, False, *args, **kwargs)

    @like(DriverDatabase.with_options)
    def with_options(self, *args: Any, **kwargs: Any) -> Database[D]:
        changed = super().with_options(*args, **kwargs)
        return Database(self._client, self._name, **options_of(changed))

    @like(DriverDatabase.create_collection)
    def create_collection(self, name: Any, *args: Any, **kwargs: Any) -> DriverCollection[D]:
        if router_of(self, name) is None:
            return super().create_collection(name, *args, **kwargs)
        legacy = partial(_posted(super().create_collection), name, *args, **kwargs)
        given = created(DriverDatabase.create_collection, self, name, *args, **kwargs)
        configured = self.get_collection(name, **given.shown)
        assert isinstance(configured, Collection)
        at_once(create(configured._seat, legacy, given.session, given.check_exists, given.asked))
        return configured

    @like(DriverDatabase.command)
    def command(self, *args: Any, **kwargs: Any) -> Any:
        return at_once(run_command(self, _posted(super().command), args, kwargs))

    @like(DriverDatabase.cursor_command)
    def cursor_command(self, *args: Any, **kwargs: Any) -> Any:
        return at_once(run_command(self, _posted(super().cursor_command), args, kwargs, self._shadow_cursor))

    def _shadow_cursor(self, session: Any, reply: Any) -> CommandCursor[Any]:
        return CommandCursor(self.get_collection("$cmd"), reply["cursor"], None, session=session)

    @like(DriverDatabase.aggregate)
    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(_posted(super().aggregate), pipeline, *args, **kwargs)
        reach = reach_of_aggregate(self._name, pipeline)
        return at_once(pass_through(self._client, reach, legacy, session_in(args, kwargs)))

    @like(DriverDatabase.list_collection_names)
    def list_collection_names(self, *args: Any, **kwargs: Any) -> Any:
        led: dict[str, bool] = portal().run(self._client._shadow_binding.led_by_new(self._name))
        names = super().list_collection_names(*args, **kwargs)
        return listed_names(names, led, filter_in(args, kwargs)) if led else names

    @like(DriverDatabase.list_collections)
    def list_collections(self, *args: Any, **kwargs: Any) -> Any:
        led: dict[str, bool] = portal().run(self._client._shadow_binding.led_by_new(self._name))
        cursor = super().list_collections(*args, **kwargs)
        if not led:
            return cursor
        name_only = bool(kwargs.get("nameOnly"))
        listed = listed_documents(list(cursor), led, filter_in(args, kwargs), name_only=name_only)
        return self._shadow_cursor(session_in(args, kwargs), {"cursor": {"firstBatch": listed, "id": 0}})

    @like(DriverDatabase.watch)
    def watch(self, *args: Any, **kwargs: Any) -> Any:
        legacy = partial(_posted(super().watch), *args, **kwargs)
        reach = portal().run(reach_of_watch(self._client._shadow_binding, [self._name]))
        return at_once(pass_through(self._client, reach, legacy, session_in(args, kwargs)))

    @like(DriverDatabase.drop_collection)
    def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        name = getattr(name_or_collection, "name", name_or_collection)
        legacy = partial(_posted(super().drop_collection), name_or_collection, *args, **kwargs)
        configured = self[name] if router_of(self, name) is not None else None
        if not isinstance(configured, Collection):
            return super().drop_collection(name_or_collection, *args, **kwargs)
        dropped: dict[str, Any] = at_once(drop(configured._seat, legacy, session_in(args, kwargs)))
        return dropped
