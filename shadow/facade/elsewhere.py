"""Calls that reach configured collections without naming them as an object: commands, ``$out``, whole databases.

They run on legacy and are counted on every configured collection that they touch, so that a write among them leaves
its mark on each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial, wraps
from itertools import chain
from typing import Any, NamedTuple, TypeVar, cast

from shadow.facade.contract import Binding
from shadow.facade.forward import pass_on, session_in
from shadow.ops.pipelines import collections_read
from shadow_adapters.mongo.store import ARMED

M = TypeVar("M", bound=Callable[..., Any])

READS = frozenset(
    {"aggregate", "collStats", "count", "dataSize", "distinct", "explain", "find", "getMore", "listIndexes", "validate"}
)
"""Commands on a collection that change nothing."""

_DEEP = 20
"""So many collections are counted one inside the other before another stack is begun."""

Place = tuple[str, str]


class Reach(NamedTuple):
    """The collections, by database and name, that a call reads and writes."""

    name: str
    read: tuple[Place, ...] = ()
    written: tuple[Place, ...] = ()


def reach_of_command(database: str, command: Any, value: Any = 1, *_: Any, **more: Any) -> Reach:
    """What a command on a database reaches. Arguments as in `pymongo.asynchronous.database.AsyncDatabase.command`."""
    document: dict[str, Any] = {command: value} if isinstance(command, str) else dict(command)
    document |= more
    name = next(iter(document), "")
    if name == "explain" and isinstance(document[name], Mapping):
        return Reach(name, reach_of_command(database, document[name]).read)
    if name == "bulkWrite":
        namespaces = [str(entry.get("ns", "")).partition(".") for entry in document.get("nsInfo", ())]
        return Reach(name, (), tuple((place[0], place[2]) for place in namespaces))
    if not isinstance(document.get(name), str):
        return Reach(name)
    if name == "renameCollection":
        places = [str(document.get(field)).partition(".") for field in (name, "to")]
        return Reach(name, (), tuple((place[0], place[2]) for place in places))
    collection = document.get("collection") if name == "getMore" else document[name]
    place = (database, str(collection))
    if name not in READS:
        return Reach(name, (), (place,))
    return Reach(name, (place,), written_by(database, document.get("pipeline")))


def written_by(database: str, pipeline: Any) -> tuple[Place, ...]:
    """The collection that an aggregation writes its result to, if any. Only a last stage can write."""
    last = pipeline[-1] if isinstance(pipeline, list | tuple) and pipeline else {}
    into = last.get("$out")
    if into is None:
        into = last.get("$merge")
        into = into.get("into") if isinstance(into, Mapping) else into
    if isinstance(into, Mapping):
        return ((str(into.get("db", database)), str(into.get("coll"))),)
    return ((database, into),) if isinstance(into, str) else ()


def reach_of_bulk(models: Iterable[Any]) -> Reach:
    """What a client's ``bulk_write`` reaches; the driver refuses a model without a namespace."""
    namespaces = dict.fromkeys(str(getattr(model, "_namespace", "")) for model in models)
    return Reach("bulk_write", (), tuple((name.partition(".")[0], name.partition(".")[2]) for name in namespaces))


async def reach_of_watch(binding: Binding, databases: Iterable[str]) -> Reach:
    """What a change stream of whole databases reaches. Raises pymongo's errors."""
    places = [await _places(binding, each, await binding.led_by_new(each)) for each in databases]
    return Reach("watch", tuple(chain.from_iterable(places)))


async def reach_of_drop(binding: Binding, name_or_database: Any) -> tuple[Reach, bool]:
    """What dropping a database reaches, and whether each collection is dropped by itself, where it is led.

    So it is where PostgreSQL leads any: MongoDB's own drop of the whole would leave what PostgreSQL has, and take
    Shadow's note in the database that the authority may be elsewhere. The driver refuses what is no database. Raises
    pymongo's errors.
    """
    name = getattr(name_or_database, "name", name_or_database)
    if not isinstance(name, str):
        return Reach("drop_database"), False
    led = await binding.led_by_new(name)
    places = await _places(binding, name, led)
    if led:
        places = tuple(place for place in places if place[1] != ARMED and not place[1].startswith("system."))
    return Reach("drop_database", (), places), bool(led)


async def drop_database(
    client: Any, name_or_database: Any, on_legacy: Callable[[], Awaitable[Any]], args: Any, kwargs: Any
) -> Any:
    """Drop a database of an asynchronous client. ``args``, ``kwargs``: what its own method was given beside it."""
    reach, singly = await reach_of_drop(client._shadow_binding, name_or_database)
    if not singly:
        return await pass_through(client, reach, on_legacy, session_in(args, kwargs))
    for database, collection in reach.written:
        await client[database][collection].drop(*args, **kwargs)
    return None


async def _places(binding: Binding, database: str, led_by_new: Iterable[str]) -> tuple[Place, ...]:
    """All collections of a database, those that only new has among them."""
    names = [*await binding.collections(database), *led_by_new]
    return tuple((database, name) for name in dict.fromkeys(names))


async def reach_of_clients_watch(binding: Binding) -> Reach:
    """What a change stream of a whole client reaches. Raises pymongo's errors."""
    return await reach_of_watch(binding, await binding.databases())


def reach_of_aggregate(database: str, pipeline: Any) -> Reach:
    """What an aggregation of a database, which begins with no collection, reaches."""
    read = tuple((database, collection) for collection in collections_read(pipeline))
    return Reach("aggregate", read, written_by(database, pipeline))


def aggregated(method: M) -> M:
    """The driver's aggregation as a façade's: it reads its collection, and may write its result to another one."""
    return _reaching(method, "pipeline", False, written_by)


def renamed(method: M) -> M:
    """The driver's ``rename`` as a façade's: it writes the collection of the new name too."""
    return _reaching(method, "new_name", True, lambda database, name: ((database, str(name)),))


def _reaching(method: M, argument: str, writes: bool, written: Callable[[str, Any], tuple[Place, ...]]) -> M:
    @wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        on_legacy = partial(method, self._seat.driver.collection, *args, **kwargs)
        places = written(self.database.name, args[0] if args else kwargs.get(argument))
        session = session_in(args, kwargs)
        through = partial(pass_through, self.database.client, Reach(method.__name__, (), places), on_legacy, session)
        return await pass_on(self._seat, method.__name__, writes, through, session)

    return cast("M", call)


async def pass_through(
    client: Any,
    reach: Reach,
    on_legacy: Callable[[], Awaitable[Any]],
    session: Any,
    passing: Callable[..., Awaitable[Any]] = pass_on,
) -> Any:
    """Run a call on legacy, counted on every configured collection in its reach. ``passing``: how it passes each."""
    depth = 0
    for places, writes in ((reach.read, False), (reach.written, True)):
        for database, collection in places:
            seat = getattr(client[database][collection], "_seat", None) if database and collection else None
            if seat is not None:
                on_legacy = partial(passing, seat, reach.name, writes, on_legacy, session)
                depth += 1
                if depth % _DEEP == 0:
                    on_legacy = partial(seat.router.apart, on_legacy)
    return await on_legacy()
