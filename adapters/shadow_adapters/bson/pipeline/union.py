"""``$unionWith``: the documents of another collection behind those of this one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from shadow_adapters.bson.pipeline.flow import Batch, Context, Flow, Stage
from shadow_adapters.bson.pipeline.foreign import Foreign
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure


def union_with(name: str, spec: Any, scope: Scope) -> Stage:
    """``$unionWith``: a collection's name, or ``{coll, pipeline}``. Raises `CommandFailure` 9, 40415."""
    options: Any = {"coll": spec} if isinstance(spec, str) else spec
    if not isinstance(options, Mapping):
        raise CommandFailure(9, "the $unionWith stage specification must be an object or string")
    unknown = next((option for option in options if option not in ("coll", "pipeline")), None)
    if unknown is not None:
        raise CommandFailure(40415, f"BSON field '$unionWith.{unknown}' is an unknown field.")
    foreign = Foreign.parse(name, options.get("coll"), options.get("pipeline", []), scope)
    return Stage(name, lambda context: _Union(foreign, context), foreign.reads)


class _Union(Flow):
    def __init__(self, foreign: Foreign, context: Context) -> None:
        self._foreign = foreign
        self._context = context

    async def push(self, batch: Batch) -> Batch:
        return batch

    async def end(self) -> AsyncGenerator[Batch]:
        async with aclosing(self._foreign.run({}, self._context)) as found:
            async for batch in found:
                yield batch
