"""``$facet``: several pipelines over the same documents, their results in one document."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, Final

from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection.paths import check_field_name
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.pipeline.pipeline import Pipeline

_NOT_INSIDE: Final = frozenset(
    ("$facet", "$out", "$merge", "$geoNear", "$collStats", "$indexStats", "$planCacheStats", "$changeStream", "$search")
)


def facet(name: str, spec: Any, scope: Scope) -> Stage:
    """``$facet``. Raises `CommandFailure` 40169 to 40171, 40600, and for a bad field name as `field_path`."""
    if not isinstance(spec, Mapping) or not spec:
        raise CommandFailure(40169, "the $facet specification must be a non-empty object")
    pipelines = {}
    for field, stages in spec.items():
        _check(field, stages)
        pipelines[field] = scope.pipeline(stages, "$facet")
    reads = tuple(reading for pipeline in pipelines.values() for reading in pipeline.reads)
    return Stage(name, lambda context: _Facet(pipelines, context), reads)


def _check(field: str, stages: Any) -> None:
    check_field_name(field)
    if not isinstance(stages, list | tuple):
        raise CommandFailure(40170, f"arguments to $facet must be arrays, {field} is type {type_name(stages)}")
    for stage in stages:
        if not isinstance(stage, Mapping):
            raise CommandFailure(40171, f"elements of arrays in $facet spec must be non-empty objects, not in {field}")
        inner = next(iter(stage), "")
        if inner in _NOT_INSIDE:
            raise CommandFailure(40600, f"{inner} is not allowed to be used within a $facet stage")


class _Facet(Flow):
    def __init__(self, pipelines: Mapping[str, Pipeline], context: Context) -> None:
        self._running = {field: pipeline.start(context) for field, pipeline in pipelines.items()}
        self._found: dict[str, list[Document]] = {field: [] for field in pipelines}
        self._memory = context.memory("$facet")

    async def push(self, batch: Batch) -> Batch:
        for field, running in self._running.items():
            if not running.done:
                self._keep(field, await running.push(batch))
        self.done = all(running.done for running in self._running.values())
        return []

    def _keep(self, field: str, batch: Batch) -> None:
        self._memory.add(batch)
        self._found[field] += batch

    async def end(self) -> AsyncGenerator[Batch]:
        for field, running in self._running.items():
            async for batch in running.end():
                self._keep(field, batch)
        yield [dict(self._found)]
