"""``$replaceRoot`` and ``$replaceWith``: another document in the place of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure


def replace_root(name: str, spec: Any, scope: Scope) -> Stage:
    """``$replaceRoot``. Raises `CommandFailure` 40229 to 40231."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(
            40229, f"expected an object as specification for $replaceRoot stage, got {type_name(spec)}"
        )
    unknown = next((option for option in spec if option != "newRoot"), None)
    if unknown is not None:
        raise CommandFailure(
            40230, f"unrecognized option to $replaceRoot stage: {unknown}, only valid option is 'newRoot'."
        )
    if "newRoot" not in spec:
        raise CommandFailure(40231, "no newRoot specified for the $replaceRoot stage")
    return replace_with(name, spec["newRoot"], scope)


def replace_with(name: str, spec: Any, scope: Scope) -> Stage:
    """``$replaceWith``. A document for which the expression gives none fails the command (40228)."""
    expression = compile_expression(spec, scope.names)
    return Stage(name, lambda context: _start(expression, context))


def _start(expression: Expression, context: Context) -> Flow:
    def change(batch: Batch) -> Batch:
        return [_root(expression.evaluate(document, context.variables)) for document in batch]

    return Each(change)


def _root(value: Any) -> Document:
    document = as_document(value)
    if document is None:
        shown = "MISSING" if value is MISSING else f"of type {type_name(value)}"
        raise CommandFailure(
            40228, f"'newRoot' expression must evaluate to an object, but resulting value was: {shown}"
        )
    return dict(document)
