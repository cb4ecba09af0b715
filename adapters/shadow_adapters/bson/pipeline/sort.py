"""``$sort``: all documents in order, or the best few where a ``$limit`` follows."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from shadow_adapters.bson.expression.meta import TEXT_SCORE, check_meta
from shadow_adapters.bson.order import compile_sort
from shadow_adapters.bson.pipeline.flow import BATCH, Batch, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

_ONE_OF_EACH: Final = frozenset(("$project", "$addFields", "$set", "$unset", "$replaceRoot", "$replaceWith"))

SortKey = Callable[[Mapping[str, Any]], bytes]
Order = Callable[[Context], SortKey]
"""The sort key in one run."""


def sort(name: str, spec: Any, scope: Scope) -> Stage:
    """``$sort``. Raises `CommandFailure`: 15973, 15976, and what `compile_sort` raises."""
    order = sort_order(spec, scope.names)
    return Stage(name, lambda context: Ordered("$sort", order(context), context))


def sort_order(spec: Any, names: Collection[str] = ()) -> Order:
    """The order of a ``$sort``, which may be by the score of ``$text`` where that is among the names in scope."""
    _check(spec)
    scored = any(isinstance(way, Mapping) and "$meta" in way for way in spec.values())
    if not scored:
        key = compile_sort(spec)
        return lambda _: key
    for way in spec.values():
        if isinstance(way, Mapping):
            check_meta(way.get("$meta"), names)
    compile_sort(spec, score=lambda _: 0.0)
    return lambda context: compile_sort(spec, score=context.variables[TEXT_SCORE])


def scores_first(stages: Any) -> Any:
    """A pipeline, not yet compiled, whose ``$sort`` by the score alone come before stages that make other documents.

    Such a stage makes one document of each, or none, and tells nothing of the score: the order is the same.
    """
    if not isinstance(stages, list | tuple):
        return stages
    found: list[Any] = []
    for stage in stages:
        place = len(found)
        if _by_score_alone(stage):
            start = place
            while start and _name(found[start - 1]) in _ONE_OF_EACH | {"$match"}:
                start -= 1
            place = next((at for at in range(start, place) if _name(found[at]) in _ONE_OF_EACH), place)
        found.insert(place, stage)
    return found


def _by_score_alone(stage: Any) -> bool:
    spec = stage.get("$sort") if isinstance(stage, Mapping) else None
    return isinstance(spec, Mapping) and [*spec.values()] == [{"$meta": "textScore"}]


def _name(stage: Any) -> str:
    return next(iter(stage), "") if isinstance(stage, Mapping) else ""


def sort_key(spec: Any) -> SortKey:
    """An order that is by fields alone."""
    _check(spec)
    return compile_sort(spec)


def _check(spec: Any) -> None:
    if not isinstance(spec, Mapping):
        raise CommandFailure(15973, "the $sort key specification must be an object")
    if not spec:
        raise CommandFailure(15976, "$sort stage must have at least one sort key")


class Ordered(Flow):
    """All documents in order, and what a stage makes of them then.

    ``stage``: its name, for the count of what it holds.
    """

    def __init__(self, stage: str, key: SortKey, context: Context) -> None:
        self._key = key
        self._memory = context.memory(stage)
        self._held: list[Document] = []

    async def push(self, batch: Batch) -> Batch:
        self._memory.add(batch)
        self._held += batch
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        held, self._held = self._held, []
        held.sort(key=self._key)
        made = self.made(held)
        while batch := list(islice(made, BATCH)):
            yield batch

    def made(self, documents: list[Document]) -> Iterator[Document]:
        """What comes of the documents, which are in order: themselves."""
        return iter(documents)


def best(name: str, order: Order, count: int) -> Stage:
    """A ``$sort`` of which only the first ``count`` documents are wanted: no more are held."""
    return Stage(name, lambda context: _Best(order(context), count, context))


class _Best(Flow):
    def __init__(self, key: SortKey, count: int, context: Context) -> None:
        self._key = key
        self._count = count
        self._context = context
        self._seen = 0
        self._held: list[tuple[bytes, int, Document]] = []

    async def push(self, batch: Batch) -> Batch:
        self._held += [(self._key(document), self._seen + i, document) for i, document in enumerate(batch)]
        self._seen += len(batch)
        if len(self._held) > 2 * self._count:  # only now and then: a selection costs as much as what it goes through
            self._cut()
        return []

    def _cut(self) -> None:
        self._held = heapq.nsmallest(self._count, self._held)
        self._context.memory("$sort").add(document for _, _, document in self._held)

    async def end(self) -> AsyncGenerator[Batch]:
        self._cut()
        held, self._held = self._held, []
        for batch in slices([document for _, _, document in held]):
            yield batch
