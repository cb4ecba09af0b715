"""New's indexes made equal to legacy's.

Indexes are not records, so no mark tells of them. They are mirrored off the caller's path and as a whole, as often as
one was changed, and once by each process that marks: those made before Shadow, or past it, are found as well. What
new cannot have is counted by name, and so gates.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from typing import Any

from pymongo.errors import PyMongoError

from shadow.protocol.lasting import unforeseen
from shadow.router.answers import unsupported_in
from shadow.runtime.loops import Loop, LoopEntity
from shadow_adapters.bson.collation import completed_collation
from shadow_adapters.failures import StoreError

_PAUSES = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Seconds before each try: new may lag behind the records that a unique index refuses."""
AWAY = 2.0
"""Seconds before a store that is away is asked again."""
_MEANING = (
    "key",
    "unique",
    "sparse",
    "partialFilterExpression",
    "expireAfterSeconds",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "hidden",
)


def mirror_once(here: LoopEntity, loop: Loop) -> None:
    """The first time that a process marks: whatever is there already."""
    if here.mirroring is None:
        mirror(here, loop, "indexes")


def mirror(here: LoopEntity, loop: Loop, name: str) -> None:
    """Make new's indexes equal to legacy's, soon. ``name``: what has changed them, counted where that fails."""
    here.unmirrored = name
    if here.mirroring is None or here.mirroring.done():
        # Outlives the call, and so takes nothing of its context, such as its time-outs.
        here.mirroring = asyncio.get_running_loop().create_task(_mirror(here, loop), context=contextvars.Context())


async def _mirror(here: LoopEntity, loop: Loop) -> None:
    while here.unmirrored is not None:
        name, here.unmirrored = here.unmirrored, None
        try:
            mirrored = await _tried(here, loop)
        except Exception as error:
            unforeseen("the mirror of indexes", error)
            mirrored = False
        if not mirrored:
            here.entity.count_unsupported(name)


async def _tried(here: LoopEntity, loop: Loop) -> bool:
    """Whether it came about; a store that is away is waited for."""
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        while here.handle.view().marks:  # no longer once new leads
            try:
                if await _mirrored(here, loop):
                    return True
                break
            except (StoreError, PyMongoError, OSError):
                await asyncio.sleep(AWAY)
    return not here.handle.view().marks


async def _mirrored(here: LoopEntity, loop: Loop) -> bool:
    """Whether every index that new can have is there now, and none that legacy has not. A real table keeps its own."""
    engine = here.entity.engine
    wanted = {index["name"]: index for index in await loop.store(here.entity.name).indexes()}
    async with loop.pool.connection() as conn:

        async def run(command: dict[str, Any]) -> Mapping[str, Any]:
            return await engine.execute(conn, command)

        listed = await run({"listIndexes": here.entity.collection})
        known = {index["name"]: index for index in listed["cursor"]["firstBatch"]}
        for gone in known.keys() - wanted.keys():
            await run({"dropIndexes": here.entity.collection, "index": gone})
        done = True
        for index_name, index in wanted.items():
            if index_name in known and _meaning(known[index_name]) == _meaning(index):
                continue
            if index_name in known:
                await run({"dropIndexes": here.entity.collection, "index": index_name})
            made = await run({"createIndexes": here.entity.collection, "indexes": [index]})
            unsupported = unsupported_in(made)
            if unsupported is not None:
                here.entity.count_unsupported(unsupported)
            done = done and (bool(made.get("ok")) or unsupported is not None)
    return done


def _meaning(index: Mapping[str, Any]) -> list[Any]:
    """What two indexes of one name must have in common to be the same."""
    parts = [list(value.items()) if isinstance(value, Mapping) else value for value in map(index.get, _MEANING)]
    collation = index.get("collation")
    return [*parts, None if collation is None else {**completed_collation(collation), "version": ""}]
