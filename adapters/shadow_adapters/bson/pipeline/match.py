"""``$match``: the documents that a filter matches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.match import Matcher, compile_filter, uses_expression
from shadow_adapters.bson.match.text import split_text, uses_text
from shadow_adapters.bson.pipeline.flow import Batch, Each, Flow, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure


def match(name: str, spec: Any, scope: Scope) -> Stage:
    """``$match``. Raises `CommandFailure` 15959, 17313, and what `split_text` and `compile_filter` raise."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(15959, "the match filter must be an expression in an object")
    if uses_text(spec):
        spec = _begun(spec, scope)
    compiled = compile_filter(spec, dict.fromkeys(scope.names))
    known = None if uses_expression(spec) else compiled
    return Stage(name, lambda context: _start(known or compile_filter(spec, context.variables)))


def _begun(spec: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """The filter without its ``$text``, which is the business of the query that begins a pipeline.

    Raises `CommandFailure` 17313 anywhere else, with ``unsupported`` at the beginning of a pipeline inside another.
    """
    inside = scope.inside if not scope.position and scope.inside != "$facet" else ""
    if scope.position or scope.inside:
        text = "$match with $text is only allowed as the first pipeline stage"
        raise CommandFailure(17313, text, unsupported=f"$text in {inside}" if inside else None)
    return split_text(spec)[1]


def _start(matcher: Matcher) -> Flow:
    matches = matcher.matches

    def change(batch: Batch) -> Batch:
        return [document for document in batch if matches(document)]

    return Each(change)
