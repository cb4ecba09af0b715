"""``$lookup``: documents of another collection, by equality, by a pipeline, or by both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from shadow_adapters.bson.codec import encode as encode_document
from shadow_adapters.bson.expression import Expression, check_variable_name, compile_expression
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage
from shadow_adapters.bson.pipeline.foreign import Foreign
from shadow_adapters.bson.pipeline.join import Join, values_at
from shadow_adapters.bson.pipeline.memory import LIMIT
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection.nested import put
from shadow_adapters.bson.projection.paths import field_path
from shadow_adapters.failures import CommandFailure

_OPTIONS: Final = ("from", "as", "localField", "foreignField", "let", "pipeline")
_STRINGS: Final = ("from", "as", "localField", "foreignField")


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A ``$lookup``. ``local`` and ``join``: the equality. ``let``: variables over the document looked up for."""

    foreign: Foreign
    field: tuple[str, ...]
    local: tuple[str, ...]
    join: Join | None
    let: Mapping[str, Expression]
    staged: bool


def lookup(name: str, spec: Any, scope: Scope) -> Stage:
    """``$lookup``. Raises `CommandFailure` 9 for options that are wrong or do not fit together."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, "the $lookup stage specification must be an object")
    _check(spec)
    let = {}
    for variable, expression in spec.get("let", {}).items():
        check_variable_name(variable)
        let[variable] = compile_expression(expression, scope.names)
    stages = spec.get("pipeline", [])
    foreign = Foreign.parse(name, spec.get("from"), stages, scope, tuple(let))
    join = None
    if "localField" in spec:
        field_path(spec["foreignField"])
        join = Join(spec["from"], spec["foreignField"], foreign.filter)
    local = field_path(spec["localField"]) if join is not None else ()
    plan = _Lookup(foreign, field_path(spec["as"]), local, join, let, bool(stages))
    start: Callable[[Context], Flow] = lambda context: (_Joined if join is not None else _Piped)(plan, context)  # noqa: E731
    return Stage(name, start, foreign.reads)


def _check(spec: Mapping[str, Any]) -> None:
    for option, value in spec.items():
        if option not in _OPTIONS:
            raise CommandFailure(9, f"unknown argument to $lookup: {option}")
        if option in _STRINGS and not isinstance(value, str):
            if option == "from" and isinstance(value, Mapping):
                raise CommandFailure(115, "$lookup from another database is not served", unsupported="$lookup from db")
            raise CommandFailure(9, f"$lookup argument '{option}' must be a string")
        if option == "let" and not isinstance(value, Mapping):
            raise CommandFailure(9, "$lookup argument 'let' must be an object")
        if option == "pipeline" and not isinstance(value, list | tuple):
            raise CommandFailure(9, "$lookup argument 'pipeline' must be an array")
    if "as" not in spec:
        raise CommandFailure(9, "must specify 'as' field for a $lookup")
    if ("localField" in spec) != ("foreignField" in spec):
        raise CommandFailure(9, "$lookup requires both or neither of 'localField' and 'foreignField' to be specified")
    if "localField" not in spec and "pipeline" not in spec:
        raise CommandFailure(9, "$lookup requires either 'pipeline' or both 'localField' and 'foreignField'")
    if "let" in spec and "pipeline" not in spec:
        raise CommandFailure(9, "$lookup with a 'let' argument must also specify 'pipeline'")
    if "from" not in spec and "localField" in spec:
        raise CommandFailure(9, "must specify 'from' field for a $lookup")


class _Joined(Flow):
    """By equality: the values of a whole batch are asked for at once."""

    def __init__(self, plan: _Lookup, context: Context) -> None:
        self._plan = plan
        self._context = context

    async def push(self, batch: Batch) -> Batch:
        plan = self._plan
        assert plan.join is not None
        wanted = [values_at(document, plan.local) or [None] for document in batch]
        found = await plan.join.find((value for values in wanted for value in values), self._context)
        return [
            put(document, plan.field, await self._piped(document, found.of(values)))
            for document, values in zip(batch, wanted, strict=True)
        ]

    async def _piped(self, document: Document, found: list[Document]) -> list[Document]:
        if not self._plan.staged:
            return found
        return await self._plan.foreign.over(found, _variables(self._plan, document, self._context), self._context)


class _Piped(Flow):
    """By a pipeline, once for each document; what it begins with is kept where no variable decides it."""

    def __init__(self, plan: _Lookup, context: Context) -> None:
        self._plan = plan
        self._context = context
        self._kept: list[Document] | None = None
        self._keeps = not plan.foreign.equal and plan.foreign.collection is not None

    async def push(self, batch: Batch) -> Batch:
        return [put(document, self._plan.field, await self._find(document)) for document in batch]

    async def _find(self, document: Document) -> list[Document]:
        variables = _variables(self._plan, document, self._context)
        if self._keeps and self._kept is None:
            await self._keep()
        if self._kept is not None:
            return await self._plan.foreign.over(self._kept, variables, self._context)
        async with aclosing(self._plan.foreign.run(variables, self._context)) as batches:
            return [found async for batch in batches for found in batch]

    async def _keep(self) -> None:
        kept: list[Document] = []
        size = 0
        async with aclosing(self._plan.foreign.documents(self._context)) as batches:
            async for batch in batches:
                kept += batch
                size += sum(len(encode_document(document)) for document in batch)
                if size > LIMIT:
                    self._keeps = False
                    return
        self._kept = kept


def _variables(plan: _Lookup, document: Document, context: Context) -> dict[str, Any]:
    return {name: expression.evaluate(document, context.variables) for name, expression in plan.let.items()}
