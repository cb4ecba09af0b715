"""The pipeline of a stage over another collection, and what of it the collection can be asked for.

The whole pipeline runs over what is found. What its first ``$match`` says without variables is asked for, and so is an
equality with a variable, which has a value when the pipeline runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.match import clauses, repeatable
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Reading
from shadow_adapters.bson.pipeline.leading import leading
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.pipeline.pipeline import Pipeline

_PLAIN: Final = (str, int, Int64, bool, ObjectId, DatetimeMS)
"""Types of values whose equality in an expression is equality in a filter too."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A compiled pipeline over another collection (None: over documents of its own).

    ``filter``: what is known before, under ``$and``, or nothing. ``equal``: paths that must equal what an expression of
    variables comes to.
    """

    collection: str | None
    pipeline: Pipeline
    reads: tuple[Reading, ...]
    filter: Mapping[str, Any]
    equal: tuple[tuple[str, Expression], ...]

    @classmethod
    def parse(cls, stage: str, collection: Any, stages: Any, scope: Scope, names: tuple[str, ...] = ()) -> Foreign:
        """Compile. Raises `CommandFailure` 9 where no collection is named, and none is needed."""
        own = isinstance(stages, list) and bool(stages) and isinstance(stages[0], Mapping) and "$documents" in stages[0]
        if collection is None and not own:
            raise CommandFailure(9, f"must specify a collection, or $documents, for {stage}")
        if collection is not None and (not isinstance(collection, str) or not collection):
            raise CommandFailure(9, f"the collection of {stage} must be a string")
        pipeline = scope.pipeline(stages, stage, names=names, collection=collection is not None)
        here = () if collection is None else (Reading(stage, collection),)
        asked = list(clauses(leading(stages).filter))
        known = [{name: value} for name, value in asked if repeatable({name: value})]
        inner = tuple(scope.names.union(names))
        equal = tuple(pair for name, value in asked if name == "$expr" for pair in _equalities(value, inner))
        return cls(collection, pipeline, (*here, *pipeline.reads), {"$and": known} if known else {}, equal)

    async def run(self, variables: Mapping[str, Any], context: Context) -> AsyncGenerator[Batch]:
        """What the pipeline gives with these variables added."""
        inner = replace(context, variables={**context.variables, **variables})
        async with aclosing(self.documents(inner)) as source:
            async for batch in self.pipeline.run(source, inner):
                yield batch

    async def documents(self, context: Context) -> AsyncGenerator[Batch]:
        """What the pipeline begins with, or less, but nothing that it would let through."""
        if self.collection is None:
            return
        filters = [*self.filter.get("$and", ())]
        for path, expression in self.equal:
            value = expression.evaluate({}, context.variables)
            if type(value) in _PLAIN:
                filters.append({path: {"$eq": value}})
        filter = {"$and": filters} if filters else {}
        async with aclosing(context.sources.find(self.collection, filter, context.variables)) as found:
            async for batch in found:
                yield batch

    async def over(self, documents: list[Document], variables: Mapping[str, Any], context: Context) -> list[Document]:
        """What the pipeline gives over documents that were found already."""

        async def source() -> AsyncGenerator[Batch]:
            if documents:
                yield documents

        inner = replace(context, variables={**context.variables, **variables})
        return [found async for batch in self.pipeline.run(source(), inner) for found in batch]


def _equalities(expression: Any, names: tuple[str, ...]) -> Iterator[tuple[str, Expression]]:
    """The paths that an expression holds equal to an expression of variables."""
    if not isinstance(expression, Mapping) or len(expression) != 1:
        return
    name, operands = next(iter(expression.items()))
    if not isinstance(operands, list | tuple):
        return
    if name == "$and":
        for operand in operands:
            yield from _equalities(operand, names)
    elif name == "$eq" and len(operands) == 2:
        for path, value in (tuple(operands), tuple(reversed(operands))):
            if _is_path(path) and isinstance(value, str) and value.startswith("$$") and _user(value, names):
                yield path[1:], compile_expression(value, names)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$") and not value.startswith("$$")


def _user(value: str, names: tuple[str, ...]) -> bool:
    return value[2:].partition(".")[0] in names
