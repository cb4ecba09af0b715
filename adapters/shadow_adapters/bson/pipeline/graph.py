"""``$graphLookup``: documents of another collection that are reached by following a field, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bson.int64 import Int64

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.numbers import INT64_LIMIT, clamped
from shadow_adapters.bson.order import compare
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Reading, Stage
from shadow_adapters.bson.pipeline.join import Join, values_at
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection.nested import put
from shadow_adapters.bson.projection.paths import field_path
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure

_REQUIRED: Final = ("from", "as", "startWith", "connectFromField", "connectToField")
_OPTIONS: Final = (*_REQUIRED, "maxDepth", "depthField", "restrictSearchWithMatch")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Graph:
    """A ``$graphLookup``. ``deepest`` None: no limit."""

    join: Join
    start: Expression
    follow: Path
    field: Path
    depth: Path | None
    deepest: int | None


def graph_lookup(name: str, spec: Any, scope: Scope) -> Stage:
    """``$graphLookup``. Raises `CommandFailure` 9, 40100 to 40105, 40185."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, "the $graphLookup stage specification must be an object")
    if "from" not in spec:
        raise CommandFailure(9, "missing 'from' option to $graphLookup stage specification")
    _check(spec)
    restrict = spec.get("restrictSearchWithMatch", {})
    compile_filter(restrict, dict.fromkeys(scope.names))
    depth = spec.get("depthField")
    plan = _Graph(
        Join(spec["from"], spec["connectToField"], restrict, missing_is_null=False),
        compile_expression(spec["startWith"], scope.names),
        field_path(spec["connectFromField"]),
        field_path(spec["as"]),
        None if depth is None else field_path(depth),
        clamped(spec["maxDepth"], INT64_LIMIT) if "maxDepth" in spec else None,
    )
    return Stage(name, lambda context: _Follow(plan, context), (Reading(name, spec["from"]),))


def _check(spec: Mapping[str, Any]) -> None:
    for option, value in spec.items():
        if option not in _OPTIONS:
            raise CommandFailure(40104, f"Unknown argument to $graphLookup: {option}")
        if option == "startWith":
            continue
        if option == "maxDepth":
            if not is_number(value):
                raise CommandFailure(40100, "maxDepth must be numeric")
            if clamped(value, INT64_LIMIT) < 0:
                raise CommandFailure(40101, "maxDepth requires a nonnegative argument")
            if compare(clamped(value, INT64_LIMIT), value):
                raise CommandFailure(40102, "maxDepth could not be represented as a long long")
        elif option == "restrictSearchWithMatch":
            if not isinstance(value, Mapping):
                raise CommandFailure(40185, "restrictSearchWithMatch must be an object")
        elif not isinstance(value, str):
            raise CommandFailure(40103, f"expected string as argument for {option}")
    if not all(spec.get(option, "") != "" for option in _REQUIRED):
        raise CommandFailure(
            40105, "$graphLookup requires 'from', 'as', 'startWith', 'connectFromField', and 'connectToField'"
        )


class _Follow(Flow):
    def __init__(self, plan: _Graph, context: Context) -> None:
        self._plan = plan
        self._context = context

    async def push(self, batch: Batch) -> Batch:
        return [put(document, self._plan.field, await self._reached(document)) for document in batch]

    async def _reached(self, document: Document) -> list[Document]:
        plan = self._plan
        begin = plan.start.evaluate(document, self._context.variables)
        frontier = begin if isinstance(begin, list) else [] if begin is MISSING else [begin]
        memory = self._context.memory("$graphLookup")
        reached: dict[bytes, Document] = {}
        depth = 0
        while frontier and (plan.deepest is None or depth <= plan.deepest):
            found = (await plan.join.find(frontier, self._context)).of(frontier)
            fresh = [each for each in found if encode(each["_id"]) not in reached]
            memory.add(fresh)
            reached |= {encode(each["_id"]): self._at(each, depth) for each in fresh}
            frontier = [value for each in fresh for value in values_at(each, plan.follow)]
            depth += 1
        return list(reached.values())

    def _at(self, document: Document, depth: int) -> Document:
        return document if self._plan.depth is None else put(document, self._plan.depth, Int64(depth))
