"""``$documents``: a pipeline's own documents in the place of a collection's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.pipeline.flow import Batch, Context, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure


def documents(name: str, spec: Any, scope: Scope) -> Stage:
    """``$documents``. Raises `CommandFailure`: 40602 where it is not the first, 73 where there is a collection too.

    An argument that does not come to an array of documents fails the run (5858203, 40228).
    """
    if scope.position:
        raise CommandFailure(40602, "$documents is only valid as the first stage in a pipeline")
    if scope.collection:
        raise CommandFailure(
            73, "{aggregate: 1} is not valid for '$documents'; a collectionless aggregation is required"
        )
    expression = compile_expression(spec, scope.names)
    return Stage(name, lambda context: _Documents(expression, context))


class _Documents(Flow):
    def __init__(self, expression: Expression, context: Context) -> None:
        self._expression = expression
        self._context = context

    async def push(self, batch: Batch) -> Batch:
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        values = self._expression.evaluate({}, self._context.variables)
        if not isinstance(values, list):
            raise CommandFailure(5858203, "an array is expected as the argument of $documents")
        found = [as_document(value) for value in values]
        if None in found:
            raise CommandFailure(40228, "the elements of $documents' array must be objects")
        for batch in slices([dict(document) for document in found if document is not None]):
            yield batch
