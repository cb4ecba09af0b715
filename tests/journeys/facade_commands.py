"""Commands on a collection that holds ``SEED``, to be sent twice: through the bare driver and through a façade."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.son import SON

Call = Callable[[Any], Any]


def _command(command: Any, *args: Any, **kwargs: Any) -> Call:
    """A command on the collection. ``"*"`` stands for its name, wherever the driver takes a name."""
    if isinstance(command, dict):
        name = next(iter(command))
        return lambda c: c.database.command({**command, name: c.name}, *args, **kwargs)
    return lambda c: c.database.command(command, c.name, *args, **kwargs)


def _first(statements: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    verb = {"documents": "insert", "updates": "update", "deletes": "delete"}[statements]
    return {verb: "*", statements: list(entries), **more}


def _update(q: Any, u: Any, **more: Any) -> dict[str, Any]:
    return {"q": q, "u": u, **more}


BY_ID = {"_id": 1}
BY_A = {"$sort": {"_id": 1}}

COMMANDS: dict[str, Call] = {
    "find": _command("find", filter={"a": 2}, sort=BY_ID),
    "find one": _command({"find": "*", "filter": {"_id": 1}, "limit": 1, "singleBatch": True}),
    "find in order": _command(SON([("find", "*"), ("filter", {}), ("sort", {"a": -1, "_id": 1}), ("limit", 2)])),
    "find with options": _command("find", filter={}, sort=BY_ID, codec_options=CodecOptions(document_class=SON)),
    "find raw": lambda c: _raw(
        c.database.command(
            "find", c.name, filter={"_id": 1}, codec_options=CodecOptions(document_class=RawBSONDocument)
        )
    ),
    "find commented": _command("find", filter={"_id": 1}, comment="hello"),
    "find bad": _command("find", filter={"a": {"$bad": 1}}),
    "find bad, unchecked": _command("find", filter={"a": {"$bad": 1}}, check=False),
    "find bad, allowed": _command("find", filter={"a": {"$bad": 1}}, allowable_errors=[2]),
    "find odd": _command("find", filter=5),
    "find unknown field": _command("find", filter={}, nonsense=1),
    "count": _command("count", query={"a": 2}),
    "count all": _command({"count": "*"}),
    "count some": _command("count", query={}, skip=1, limit=2),
    "distinct": _command("distinct", key="tags", query={"_id": 1}),
    "distinct odd": _command("distinct", key=5),
    "aggregate": _command("aggregate", pipeline=[{"$match": {"a": 2}}, {"$sort": {"_id": 1}}], cursor={}),
    "aggregate counts": _command("aggregate", pipeline=[{"$group": {"_id": "$a", "n": {"$sum": 1}}}, BY_A], cursor={}),
    "aggregate without a cursor": _command("aggregate", pipeline=[]),
    "aggregate oddly": _command("aggregate", pipeline=5, cursor={}),
    "aggregate bad": _command("aggregate", pipeline=[{"$bad": 1}], cursor={}),
    "aggregate by cursor_command": lambda c: _listed(
        c.database.cursor_command(
            "aggregate", c.name, pipeline=[{"$match": {"a": 2}}, {"$sort": {"_id": -1}}], cursor={}
        )
    ),
    "insert": _command(_first("documents", {"_id": 20, "a": 1}, {"_id": 21})),
    "insert twice": _command(_first("documents", {"_id": 20}, {"_id": 1}, {"_id": 21})),
    "insert unordered": _command(_first("documents", {"_id": 20}, {"_id": 1}, {"_id": 21}, ordered=False)),
    "insert what is no BSON": _command(_first("documents", {"_id": 20, "d": decimal.Decimal(1)})),
    "insert nothing": _command(_first("documents")),
    "insert oddly": _command("insert", documents=5),
    "update": _command(_first("updates", _update({"_id": 1}, {"$set": {"a": 7}}))),
    "update many": _command(_first("updates", _update({"a": 2}, {"$inc": {"a": 1}}, multi=True))),
    "update by filter": _command(_first("updates", _update({"a": 4}, {"$set": {"b": 1}}))),
    "update same": _command(_first("updates", _update({"_id": 1}, {"$set": {"a": 1}}))),
    "update a date": _command(_first("updates", _update({"_id": 99}, {"$currentDate": {"at": True}}))),
    "upsert": _command(_first("updates", _update({"_id": 77}, {"$set": {"a": 7}}, upsert=True))),
    "upsert by filter": _command(
        _first("updates", _update({"z": 1}, {"$set": {"a": 7}, "$setOnInsert": {"_id": 78}}, upsert=True))
    ),
    "updates in order": _command(
        _first(
            "updates",
            _update({"_id": 1}, {"$set": {"a": 2}}),
            _update({"a": 2, "_id": {"$lt": 2}}, {"$set": {"seen": 1}}),
            _update({"_id": 88}, {"$set": {"a": 2}}, upsert=True),
            _update({"_id": "four"}, {"$inc": {"sub": 1}}),
            _update({"_id": 2}, {"$set": {"never": 1}}),
        )
    ),
    "updates unordered": _command(
        _first(
            "updates",
            _update({"_id": "four"}, {"$inc": {"sub": 1}}),
            _update({"tags": "x"}, {"$set": {"b": 1}}),
            _update({"z": 5}, {"$set": {"b": 1}, "$setOnInsert": {"_id": 89}}, upsert=True),
            ordered=False,
        )
    ),
    "update oddly": _command("update", updates=[{"q": {}}]),
    "update by nothing": _command("update", updates=5),
    "replace": _command(_first("updates", _update({"_id": 1}, {"b": 1}))),
    "delete": _command(_first("deletes", {"q": {"_id": 1}, "limit": 1})),
    "delete all": _command(_first("deletes", {"q": {"a": 2}, "limit": 0})),
    "delete by filter": _command(_first("deletes", {"q": {"a": 4}, "limit": 1}, {"q": {"_id": 1, "a": 9}, "limit": 1})),
    "delete oddly": _command("delete", deletes=[5]),
    "findAndModify": _command("findAndModify", query={"_id": 1}, update={"$inc": {"a": 1}}, new=True),
    "findAndModify, in small letters": _command("findandmodify", query={"_id": 1}, update={"$inc": {"a": 1}}),
    "findAndModify by filter": _command("findAndModify", query={"a": 2}, sort={"_id": -1}, update={"$set": {"b": 1}}),
    "findAndModify none": _command("findAndModify", query={"a": 99}, update={"$set": {"b": 1}}),
    "findAndModify upsert": _command(
        "findAndModify", query={"_id": 79}, update={"$set": {"b": 1}}, upsert=True, new=True, fields={"b": 1}
    ),
    "findAndModify remove": _command("findAndModify", query={"a": 2}, sort={"_id": 1}, remove=True),
    "findAndModify oddly": _command("findAndModify", query={"a": 2}),
    "a pattern": _command("count", query={"_id": Regex("^fo")}),
    "cursor_command": lambda c: _listed(c.database.cursor_command("find", c.name, filter={}, sort=BY_ID)),
    "cursor_command in batches": lambda c: _listed(
        c.database.cursor_command({"find": c.name, "filter": {"a": 2}, "sort": {"_id": -1}, "batchSize": 1})
    ),
    "cursor_command bad": lambda c: _listed(c.database.cursor_command({"find": c.name, "filter": {"a": {"$bad": 1}}})),
    "cursor_command of no cursor": lambda c: c.database.cursor_command({"count": c.name}),
}


async def _raw(reply: Any) -> list[tuple[str, bytes]]:
    return [(type(document).__name__, document.raw) for document in (await reply)["cursor"]["firstBatch"]]


async def _listed(cursor: Any) -> list[Any]:
    return [document async for document in await cursor]


ODD = {
    "insert nothing",
    "insert oddly",
    "update oddly",
    "update by nothing",
    "delete oddly",
    "findAndModify oddly",
}
"""Commands that MongoDB refuses for their form, and Shadow, where new is the authority, by their name."""
SECANTUS = {"find unknown field", "findAndModify, in small letters"}
"""What SecantusDB, which is not MongoDB, answers otherwise."""


def essence(told: Any) -> Any:
    """A reply without the name of the collection, the order of distinct values, and the fields of one server."""
    if isinstance(told, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in told):
        kept = {name: essence(value) for name, value in told if name not in ("ns", "codeName", "id")}
        return sorted(kept.items(), key=lambda pair: pair[0])
    return [essence(each) for each in told] if isinstance(told, list) else told
