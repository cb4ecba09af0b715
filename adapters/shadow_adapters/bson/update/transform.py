"""Updates that are pipelines: stages that make of one document another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from shadow_adapters.bson.pipeline import Context, compile_pipeline
from shadow_adapters.bson.pipeline.flow import Each
from shadow_adapters.bson.pipeline.registry import REFUSED, STAGES
from shadow_adapters.failures import CommandFailure

Transform = Callable[[Mapping[str, Any]], dict[str, Any]]

_ALLOWED: Final = frozenset(("$addFields", "$set", "$project", "$unset", "$replaceRoot", "$replaceWith"))
_FORBIDDEN: Final = frozenset((*STAGES, *REFUSED)) - _ALLOWED


class _NoSources:
    """The other collections that an update reads: none, since none of its stages reads any."""

    def check(self, stage: str, *_: Any) -> NoReturn:
        """Raises `CommandFailure` 72."""
        _not_allowed(stage)

    def find(self, *_: Any) -> NoReturn:
        """Raises `CommandFailure` 72."""
        _not_allowed("$lookup")


def compile_transform(stages: Any, variables: Mapping[str, Any]) -> Transform:
    """The function from a document to what the stages make of it.

    ``variables``: what the stages' expressions may use, by name.

    Raises `CommandFailure`: 72 for a stage that is not for updates, and what `compile_pipeline` raises.
    """
    for stage in stages:
        name = next(iter(stage), None) if isinstance(stage, Mapping) else None
        if name in _FORBIDDEN:
            _not_allowed(name)
    pipeline = compile_pipeline(stages, variables)
    context = Context(variables, _NoSources())
    changes = [flow.change for stage in pipeline.stages if isinstance(flow := stage.start(context), Each)]

    def transform(document: Mapping[str, Any]) -> dict[str, Any]:
        batch = [dict(document)]
        for change in changes:
            batch = change(batch)
        return batch[0]

    return transform


def _not_allowed(stage: str) -> NoReturn:
    raise CommandFailure(72, f"{stage} is not allowed to be used within an update")
