"""Where a stage stands, for the compilers of stages: the variables in sight, and what it is inside of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.pipeline.pipeline import Pipeline

MAX_DEPTH: Final = 20
"""Pipelines inside each other (``internalMaxSubPipelineViewDepth``)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a stage's compiler needs beside the specification.

    ``names``: variables that expressions may use. ``inside``: the stage whose pipeline this is (empty: the command's
    own). ``collection``: false where the pipeline has no collection to begin with. ``nested`` compiles a pipeline.
    """

    names: frozenset[str]
    inside: str
    nested: Callable[[Any, Scope], Pipeline]
    position: int = 0
    depth: int = 0
    collection: bool = True

    def pipeline(self, stages: Any, inside: str, *, names: Collection[str] = (), collection: bool = True) -> Pipeline:
        """Compile a pipeline that belongs to a stage. Raises `CommandFailure`."""
        if self.depth >= MAX_DEPTH:
            raise CommandFailure(232, f"Maximum number of nested sub-pipelines exceeded. Limit is {MAX_DEPTH}")
        scope = Scope(self.names | frozenset(names), inside, self.nested, 0, self.depth + 1, collection)
        return self.nested(stages, scope)

    def at(self, position: int) -> Scope:
        """The same for one stage of the pipeline."""
        return Scope(self.names, self.inside, self.nested, position, self.depth, self.collection)
