"""PyMongo's synchronous database over a runtime: it tells configured collections from others."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from pymongo.collection import Collection as DriverCollection
from pymongo.database import Database as DriverDatabase

from shadow.facade.elsewhere import pass_through, reach_of_command
from shadow.facade.forward import pass_on, session_in
from shadow.facade.like import D, like
from shadow.facade.sync_collection import OPTIONS, Collection
from shadow.facade.waiting import as_awaited, at_once


class Database(DriverDatabase[D]):
    """`pymongo.database.Database` whose configured collections are the façade's."""

    def _shadow_router(self, name: str) -> Any:
        return self._client._shadow_binding.router(self._name, name)

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
        if self._shadow_router(name) is None:
            return super().get_collection(name, *args, **kwargs)
        return Collection(self, name, False, *args, **kwargs)

    @like(DriverDatabase.with_options)
    def with_options(self, *args: Any, **kwargs: Any) -> Database[D]:
        changed = super().with_options(*args, **kwargs)
        return Database(self._client, self._name, **{option: getattr(changed, option) for option in OPTIONS})

    @like(DriverDatabase.create_collection)
    def create_collection(self, name: str, *args: Any, **kwargs: Any) -> DriverCollection[D]:
        made = super().create_collection(name, *args, **kwargs)
        return self.get_collection(name, **{option: getattr(made, option) for option in OPTIONS})

    @like(DriverDatabase.command)
    def command(self, *args: Any, **kwargs: Any) -> Any:
        return self._shadow_command(super().command, args, kwargs)

    @like(DriverDatabase.cursor_command)
    def cursor_command(self, *args: Any, **kwargs: Any) -> Any:
        return self._shadow_command(super().cursor_command, args, kwargs)

    def _shadow_command(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        on_legacy = as_awaited(partial(method, *args, **kwargs))
        reach = reach_of_command(self._name, *args, **kwargs)
        return at_once(pass_through(self._client, reach, on_legacy, session_in(args, kwargs)))

    @like(DriverDatabase.drop_collection)
    def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        name = getattr(name_or_collection, "name", name_or_collection)
        drop = partial(super().drop_collection, name_or_collection, *args, **kwargs)
        configured = self[name] if isinstance(name, str) and self._shadow_router(name) is not None else None
        if not isinstance(configured, Collection):
            return drop()
        dropped: dict[str, Any] = at_once(
            pass_on(configured._seat, "drop", True, as_awaited(drop), session_in(args, kwargs))
        )
        return dropped
