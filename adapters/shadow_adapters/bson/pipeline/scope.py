"""Where a stage stands, for the compilers of stages: the variables in sight, and what it is inside of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from shadow_adapters.bson.expression.meta import SCORE_BEHIND, TEXT_SCORE
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.pipeline.pipeline import Pipeline

MAX_DEPTH: Final = 20
"""Pipelines inside each other (``internalMaxSubPipelineViewDepth``)."""
_AS_FOUND: Final = frozenset(("$match", "$sort", "$skip", "$limit", "$sample"))
"""Stages that hand documents on as they are."""
_GATHERING: Final = frozenset(("$group", "$bucket", "$bucketAuto", "$sortByCount", "$count"))
"""Stages behind which MongoDB knows no score either."""


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
        scope = Scope(_behind(self.names) | frozenset(names), inside, self.nested, 0, self.depth + 1, collection)
        return self.nested(stages, scope)

    def at(self, position: int) -> Scope:
        """The same for one stage of the pipeline."""
        return replace(self, position=position)

    def behind(self, stage: str) -> Scope:
        """The same behind a stage, which may leave nothing of how well ``$text`` found the documents."""
        if stage in _AS_FOUND or not self.names.intersection((TEXT_SCORE, SCORE_BEHIND)):
            return self
        names = self.names - {TEXT_SCORE, SCORE_BEHIND} if stage in _GATHERING else _behind(self.names)
        return replace(self, names=names)


def _behind(names: frozenset[str]) -> frozenset[str]:
    return (names - {TEXT_SCORE}) | {SCORE_BEHIND} if TEXT_SCORE in names else names
