"""Alterations of a collection that holds ``SEED``, to be made twice: through the bare driver and through a façade."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from pymongo import DESCENDING, IndexModel
from pymongo.errors import CollectionInvalid

Call = Callable[[Any], Any]


async def _listed(cursor: Any) -> list[Any]:
    cursor = await cursor if isawaitable(cursor) else cursor
    return [dict(index) async for index in cursor]


async def _after(collection: Any, *calls: Call) -> list[Any]:
    """What several calls came to, one after the other."""
    return [await call(collection) for call in calls]


async def _refused(collection: Any, first: Call, second: Call) -> Any:
    await first(collection)
    return await second(collection)


async def _created(collection: Any, **options: Any) -> tuple[bool, Any]:
    try:
        made = await collection.database.create_collection(collection.name, **options)
    except CollectionInvalid as error:
        return False, str(error).replace(collection.name, "")
    return made == collection, made.codec_options


def _command(**command: Any) -> Call:
    name = next(iter(command))
    return lambda c: c.database.command({**command, name: c.name})


def _unique(c: Any) -> Any:
    return c.create_index("a", unique=True)


ALTERATIONS: dict[str, Call] = {
    "create_index": lambda c: c.create_index("a"),
    "create_index of several": lambda c: c.create_index([("a", 1), ("n", DESCENDING)], name="both", sparse=True),
    "create_index twice": lambda c: _after(c, lambda c: c.create_index("a"), lambda c: c.create_index("a")),
    "create_index again otherwise": lambda c: _refused(
        c, lambda c: c.create_index("a", name="x"), lambda c: c.create_index("n", name="x")
    ),
    "create_index unique": lambda c: c.create_index("sub", unique=True, sparse=True),
    "create_index of what is not unique": _unique,
    "create_index bad": lambda c: c.create_index(5),
    "create_index with options of the command": lambda c: c.create_index("a", comment="why"),
    "create_indexes": lambda c: c.create_indexes([IndexModel("a"), IndexModel([("n", -1)], name="down")]),
    "create_indexes bad": lambda c: c.create_indexes([5]),
    "create_indexes no list": lambda c: c.create_indexes(5),
    "drop_index": lambda c: _after(c, lambda c: c.create_index("a"), lambda c: c.drop_index("a_1")),
    "drop_index by keys": lambda c: _after(c, lambda c: c.create_index("a"), lambda c: c.drop_index([("a", 1)])),
    "drop_index of none": lambda c: c.drop_index("none"),
    "drop_index bad": lambda c: c.drop_index(5),
    "drop_indexes": lambda c: _after(c, lambda c: c.create_index("a"), lambda c: c.drop_indexes()),
    "index_information": lambda c: _after(
        c, lambda c: c.create_index("sub", unique=True, sparse=True), lambda c: c.index_information()
    ),
    "list_indexes": lambda c: _after(c, lambda c: c.create_index([("a", -1)]), lambda c: _listed(c.list_indexes())),
    "createIndexes": _command(createIndexes="", indexes=[{"key": {"a": 1}, "name": "a_1"}]),
    "dropIndexes": _command(dropIndexes="", index="*"),
    "dropIndexes of none": _command(dropIndexes="", index="none"),
    "listIndexes": lambda c: _first_batch(c.database.command("listIndexes", c.name)),
    "drop": lambda c: c.drop(),
    "drop, with indexes": lambda c: _after(c, lambda c: c.create_index("a"), lambda c: c.drop()),
    "drop_collection": lambda c: _was(c.database.drop_collection(c.name)),
    "drop, as a command": lambda c: _was(c.database.command("drop", c.name)),
    "create_collection that exists": lambda c: _created(c),
    "create_collection": lambda c: _refused(c, lambda c: c.drop(), _created),
}


async def _first_batch(reply: Any) -> Any:
    return (await reply)["cursor"]["firstBatch"]


async def _was(reply: Any) -> Any:
    return (await reply)["nIndexesWas"]
