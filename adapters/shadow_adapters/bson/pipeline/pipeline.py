"""Compiling the stages of a pipeline, and running them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.pipeline.flow import Batch, Context, Flow, Reading, Stage, slices
from shadow_adapters.bson.pipeline.leading import leading
from shadow_adapters.bson.pipeline.registry import STAGES, refuse
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.sort import best, sort_order
from shadow_adapters.bson.pipeline.writing import check_last
from shadow_adapters.failures import CommandFailure

MAX_STAGES: Final = 1000
"""``internalPipelineLengthLimit``."""


class Pipeline:
    """Compiled stages, in order.

    Attributes:
        stages: one for each stage of the specification.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)

    @property
    def reads(self) -> tuple[Reading, ...]:
        """The other collections that it reads."""
        return tuple(reading for stage in self.stages for reading in stage.reads)

    def behind(self, count: int) -> Pipeline:
        """What is left when something else has done the first stages."""
        return Pipeline(self.stages[count:])

    def start(self, context: Context) -> Running:
        """A run to be fed by hand."""
        return Running([stage.start(context) for stage in self.stages], context.check)

    async def run(self, source: AsyncIterator[Batch], context: Context) -> AsyncGenerator[Batch]:
        """What becomes of the source's documents, in batches that are not empty. Reads no further than it must.

        Raises `CommandFailure` where a document cannot be computed.
        """
        running = self.start(context)
        if not running.done:
            async for batch in source:
                if out := await running.push(batch):
                    yield out
                if running.done:
                    break
        async for out in running.end():
            yield out


class Running:
    """A pipeline at work. ``check`` as in `Context`."""

    def __init__(self, flows: Sequence[Flow], check: Callable[[], None] | None) -> None:
        self._flows = flows
        self._check = check

    @property
    def done(self) -> bool:
        """Whether no more input is wanted."""
        return any(flow.done for flow in self._flows)

    async def push(self, batch: Batch, first: int = 0) -> Batch:
        """Push a batch into the flow numbered ``first``; what comes out of the last one."""
        for flow in self._flows[first:]:
            if not batch:
                break
            batch = await (flow.push(batch) if self._check is None else self._in_time(flow, batch))
        return batch

    async def _in_time(self, flow: Flow, batch: Batch) -> Batch:
        """Push a batch, which another flow may have made large, in parts between which the time is looked at."""
        assert self._check is not None
        out: Batch = []
        for part in slices(batch):
            self._check()
            out += await flow.push(part)
            if flow.done:
                break
        return out

    async def end(self) -> AsyncGenerator[Batch]:
        """What the flows had held back. A flow behind which another is done needs not be ended."""
        for position, flow in enumerate(self._flows):
            later = self._flows[position + 1 :]
            if any(other.done for other in later):
                continue
            async for batch in flow.end():
                if out := await self.push(batch, position + 1):
                    yield out
                if any(other.done for other in later):
                    break


def compile_pipeline(
    stages: Any, names: Collection[str] = (), *, inside: str = "", collection: bool = True
) -> Pipeline:
    """Compile a pipeline.

    Args:
        names: variables that its expressions may use (the command's ``let``).
        inside: the stage that it belongs to, where it is not the command's own.
        collection: whether it begins with a collection's documents (not ``{aggregate: 1}``).

    Raises `CommandFailure`: as MongoDB does for a mistake (14, 40323, 40324, 40601, and each stage's own), and with
    ``unsupported`` for a stage or an option that is not served here.
    """
    check_depth({"pipeline": stages})
    return _compile(stages, Scope(frozenset(names), inside, _compile, collection=collection))


def _compile(stages: Any, scope: Scope) -> Pipeline:
    if not isinstance(stages, list | tuple):
        raise CommandFailure(14, "'pipeline' option must be specified as an array")
    if len(stages) > MAX_STAGES:
        raise CommandFailure(7749501, f"Pipeline length must be no longer than {MAX_STAGES} stages.")
    if not scope.inside:
        check_last(stages)
    compiled: list[Stage] = []
    scopes: list[Scope] = []
    for position, stage in enumerate(stages):
        compiled.append(_stage(stage, position, scope))
        scopes.append(scope)
        scope = scope.behind(compiled[-1].name)
    return Pipeline([_bounded(compiled, stages, position, scopes[position]) for position in range(len(stages))])


def _bounded(compiled: Sequence[Stage], stages: Sequence[Any], position: int, scope: Scope) -> Stage:
    """The stage; a ``$sort`` of which only the first few are wanted holds no more than those."""
    stage = compiled[position]
    if stage.name != "$sort":
        return stage
    window = leading(stages[position:])
    spec = stages[position]["$sort"]
    return best(stage.name, sort_order(spec, scope.names), window.skip + window.limit) if window.limit else stage


def _stage(stage: Any, position: int, scope: Scope) -> Stage:
    if not isinstance(stage, Mapping):
        raise CommandFailure(14, "Each element of the 'pipeline' array must be an object")
    if len(stage) != 1:
        raise CommandFailure(40323, "A pipeline stage specification object must contain exactly one field.")
    name, spec = next(iter(stage.items()))
    compiler = STAGES.get(name)
    if compiler is None:
        refuse(name)
    return compiler(name, spec, scope.at(position))
