"""``$redact``: keep, prune or descend into each level of a document, as an expression says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.expression import REDACT_VARIABLES, Expression, compile_expression
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.pipeline.flow import Batch, Context, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure


def redact(name: str, spec: Any, scope: Scope) -> Stage:
    """``$redact``. A level for which the expression is not one of its three variables fails the run (17053)."""
    expression = compile_expression(spec, scope.names.union(REDACT_VARIABLES))
    return Stage(name, lambda context: _start(expression, context))


def _start(expression: Expression, context: Context) -> Flow:
    variables = {**context.variables, **REDACT_VARIABLES}

    def change(batch: Batch) -> Batch:
        found = [_level(document, expression, variables) for document in batch]
        return [document for document in found if document is not MISSING]

    return Each(change)


def _level(document: Mapping[str, Any], expression: Expression, variables: Mapping[str, Any]) -> Any:
    verdict = expression.evaluate(document, variables)
    if verdict == REDACT_VARIABLES["KEEP"]:
        return document
    if verdict == REDACT_VARIABLES["PRUNE"]:
        return MISSING
    if verdict != REDACT_VARIABLES["DESCEND"]:
        raise CommandFailure(
            17053,
            "$redact's expression should not return anything aside from the variables $$KEEP, $$DESCEND, and $$PRUNE",
        )
    fields = [(name, _value(value, expression, variables)) for name, value in document.items()]
    return {name: value for name, value in fields if value is not MISSING}


def _value(value: Any, expression: Expression, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        elements = [_value(element, expression, variables) for element in value]
        return [element for element in elements if element is not MISSING]
    document = as_document(value)
    return value if document is None else _level(document, expression, variables)
