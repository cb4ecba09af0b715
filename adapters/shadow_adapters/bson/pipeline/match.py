"""``$match``: the documents that a filter matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.match import Matcher, compile_filter, uses_expression
from shadow_adapters.bson.pipeline.flow import Batch, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure


def match(name: str, spec: Any, scope: Scope) -> Stage:
    """``$match``. Raises `CommandFailure` 15959, and what `compile_filter` raises."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(15959, "the match filter must be an expression in an object")
    compiled = compile_filter(spec, dict.fromkeys(scope.names))
    known = None if uses_expression(spec) else compiled
    return Stage(name, lambda context: _start(known or compile_filter(spec, context.variables)))


def _start(matcher: Matcher) -> Flow:
    matches = matcher.matches

    def change(batch: Batch) -> Batch:
        return [document for document in batch if matches(document)]

    return Each(change)
