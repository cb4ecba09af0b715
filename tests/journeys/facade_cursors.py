"""The whole interface of a cursor, to be used twice: through the bare driver and through a façade.

Each takes a collection that holds ``SEED``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from bson.code import Code
from pymongo import ASCENDING
from pymongo.collation import Collation
from pymongo.cursor import CursorType

Call = Callable[[Any], Any]


async def _all(cursor: Any) -> list[Any]:
    documents: list[Any] = await cursor.to_list(None)
    return documents


async def _value(value: Any) -> Any:
    return await value if isawaitable(value) else value


def _sorted(collection: Any, *args: Any, **kwargs: Any) -> Any:
    return collection.find(*args, **kwargs).sort("_id", ASCENDING)


async def _steps(cursor: Any, *steps: Callable[[Any], Any]) -> list[Any]:
    """What one step after another comes to, errors by class and text."""
    seen = []
    for step in steps:
        try:
            seen.append(_shown(await _value(step(cursor)), cursor))
        except (Exception, StopAsyncIteration) as error:
            seen.append((type(error).__name__, str(error).partition(", full error")[0]))
    return seen


def _shown(value: Any, cursor: Any) -> Any:
    if value is cursor:
        return "itself"
    return type(value).__name__ if hasattr(value, "rewind") else value


async def _each(cursor: Any) -> list[Any]:
    """Motor's calling back, where there is such a thing."""
    if not hasattr(type(cursor), "each"):
        return []
    import asyncio

    seen: list[Any] = []
    ended = asyncio.get_running_loop().create_future()

    def back(document: Any, error: Any) -> None:
        seen.append((document, error))
        if document is None and not ended.done():
            ended.set_result(None)

    cursor.each(back)
    await ended
    return seen


async def _fetched(cursor: Any) -> list[Any]:
    """Motor's older way through a cursor, where there is such a thing."""
    seen: list[Any] = []
    if hasattr(type(cursor), "fetch_next"):
        while await cursor.fetch_next:
            seen.append(cursor.next_object())
        seen.append(cursor.next_object())
    return seen


def _state(cursor: Any) -> Any:
    return cursor.alive, cursor.retrieved if hasattr(cursor, "retrieved") else None, cursor.cursor_id in (None, 0)


def _listed(cursor: Any) -> Any:
    return cursor.to_list(None)


def _close(cursor: Any) -> Any:
    return cursor.close()


def _next(cursor: Any) -> Any:
    return cursor.next()


WHOLE: dict[str, Call] = {
    "batch_size": lambda c: _all(_sorted(c).batch_size(2)),
    "batch_size of nothing": lambda c: _all(_sorted(c).batch_size(0)),
    "batch_size bad": lambda c: _steps(c.find(), lambda k: k.batch_size("x"), lambda k: k.batch_size(-1)),
    "limit of nothing": lambda c: _all(_sorted(c).limit(0)),
    "limit beyond": lambda c: _all(_sorted(c).limit(100)),
    "skip beyond": lambda c: _all(_sorted(c).skip(100)),
    "hint": lambda c: _all(_sorted(c, {"a": 2}).hint([("_id", 1)])),
    "hint by name": lambda c: _all(_sorted(c, {"a": 2}).hint("_id_")),
    "hint none": lambda c: _all(_sorted(c).hint("no_such")),
    "min": lambda c: _all(_sorted(c).hint([("_id", 1)]).min([("_id", 2)])),
    "max": lambda c: _all(_sorted(c).hint([("_id", 1)]).max([("_id", 2)])),
    "min without a hint": lambda c: _all(c.find().min([("_id", 2)])),
    "hint alone": lambda c: _all(c.find().hint([("_id", 1)]).skip(1).limit(2)),
    "min none": lambda c: _all(_sorted(c).hint([("_id", 1)]).min([("a", 2)])),
    "hint bad": lambda c: _steps(c.find(), lambda k: k.hint(5)),
    "comment": lambda c: _all(_sorted(c).comment("why")),
    "max_time_ms": lambda c: _all(_sorted(c).max_time_ms(10_000)),
    "max_time_ms bad": lambda c: _steps(c.find(), lambda k: k.max_time_ms("x")),
    "max_await_time_ms": lambda c: _all(_sorted(c).max_await_time_ms(5)),
    "allow_disk_use": lambda c: _all(_sorted(c).allow_disk_use(True)),
    "allow_disk_use bad": lambda c: _steps(c.find(), lambda k: k.allow_disk_use(5)),
    "collation": lambda c: _all(_sorted(c, {"tags": "X"}).collation(Collation("en", strength=2))),
    "collation bad": lambda c: _steps(c.find(), lambda k: k.collation(5)),
    "sort by mapping": lambda c: _all(c.find().sort({"a": -1, "_id": 1})),
    "sort by names": lambda c: _all(c.find().sort(["a", "_id"])),
    "sort bad": lambda c: _steps(c.find(), lambda k: k.sort("a", 5), _next),
    "sort twice": lambda c: _all(c.find().sort("a", 1).sort("_id", -1)),
    "no_cursor_timeout": lambda c: _all(_sorted(c, no_cursor_timeout=True)),
    "projection of arrays": lambda c: _all(_sorted(c, {}, {"tags": {"$slice": 1}})),
    "options that come too late": lambda c: _steps(
        _sorted(c, batch_size=1),
        _next,
        lambda k: k.sort("a", 1),
        lambda k: k.skip(1),
        lambda k: k.limit(1),
        lambda k: k.hint("_id_"),
        lambda k: k.comment("x"),
        lambda k: k.max_time_ms(1),
        lambda k: k.collation(Collation("en")),
        lambda k: k.batch_size(2),
        lambda k: k.allow_disk_use(True),
        _listed,
    ),
    "next": lambda c: _steps(_sorted(c, batch_size=2), *[_next] * 6),
    "to_list in parts": lambda c: _steps(_sorted(c), *[lambda k: k.to_list(3)] * 3),
    "to_list bad": lambda c: _steps(_sorted(c), lambda k: k.to_list(-1), lambda k: k.to_list("x")),
    "to_list of nothing": lambda c: _steps(_sorted(c), lambda k: k.to_list(0)),
    "to_list behind next": lambda c: _steps(_sorted(c, batch_size=2), _next, _listed),
    "state on the way": lambda c: _steps(
        _sorted(c, batch_size=3), _state, _next, _state, _next, _next, _state, _next, _state, _next, _state
    ),
    "close": lambda c: _steps(_sorted(c, batch_size=1), _next, _close, _state, _next, _close, _listed),
    "close before it began": lambda c: _steps(_sorted(c), _close, _state),
    "rewind": lambda c: _steps(_sorted(c, batch_size=1), _next, _next, lambda k: k.rewind(), _next, _state),
    "rewind at the end": lambda c: _steps(_sorted(c), _listed, lambda k: k.rewind(), _next),
    "clone": lambda c: _steps(_sorted(c, batch_size=1), _next, lambda k: _all(k.clone()), _listed),
    "copy": lambda c: _steps(_sorted(c), _next, lambda k: _all(copy.copy(k)), lambda k: _all(copy.deepcopy(k))),
    "each": lambda c: _each(_sorted(c)),
    "fetch_next": lambda c: _fetched(_sorted(c)),
    "a slice": lambda c: _steps(_sorted(c), lambda k: _all(k[1:3])),
    "an item": lambda c: _steps(_sorted(c), lambda k: k[1]),
    "a bad item": lambda c: _steps(_sorted(c), lambda k: k["x"]),
    "a slice that is too late": lambda c: _steps(_sorted(c), _next, lambda k: k[1:2]),
    "session": lambda c: _steps(_sorted(c), lambda k: k.session if hasattr(type(k), "session") else None),
    "its collection": lambda c: _steps(_sorted(c), lambda k: k.collection == c),
    "add_option": lambda c: _steps(_sorted(c), lambda k: k.add_option(2), lambda k: k.remove_option(2), _next),
    "add_option bad": lambda c: _steps(_sorted(c), lambda k: k.add_option("x")),
    "distinct with options": lambda c: _sorted_values(
        c.find({"a": 2}).max_time_ms(9_000).comment("x").distinct("tags")
    ),
    "iterated twice": lambda c: _steps(_sorted(c), _iterate, _iterate),
    "a parameter that is none": lambda c: _steps(c, lambda c: c.find(nonsense=1)),
    "a filter that is none": lambda c: _steps(c, lambda c: c.find(5)),
    "a projection that is none": lambda c: _steps(c, lambda c: c.find({}, 5)),
    "a filter by value": lambda c: _steps(c, lambda c: c.find({}, skip=-1), lambda c: c.find({}, limit="x")),
}

LEGACYS: dict[str, Call] = {
    "where": lambda c: _all(_sorted(c).where(Code("this.a > 1"))),
    "show_record_id": lambda c: _counted(_sorted(c, show_record_id=True)),
    "return_key": lambda c: _counted(_sorted(c, return_key=True)),
    "tailable": lambda c: _iterate(c.find({}, cursor_type=CursorType.TAILABLE)),
}
"""What new does not serve."""


async def _sorted_values(values: Any) -> list[Any]:
    return sorted(await values)


async def _iterate(cursor: Any) -> list[Any]:
    return [document["_id"] async for document in cursor]


async def _counted(cursor: Any) -> int:
    return len(await _all(cursor))
