"""``$sort``: all documents in order, or the best few where a ``$limit`` follows."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from shadow_adapters.bson.order import compile_sort
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.failures import CommandFailure

SortKey = Callable[[Mapping[str, Any]], bytes]


def sort(name: str, spec: Any, scope: Scope) -> Stage:
    """``$sort``. Raises `CommandFailure`: 15973, 15976, and what `compile_sort` raises."""
    key = sort_key(spec)
    return Stage(name, lambda context: _Sort(key, context))


def sort_key(spec: Any) -> SortKey:
    """The order of a ``$sort``."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(15973, "the $sort key specification must be an object")
    if not spec:
        raise CommandFailure(15976, "$sort stage must have at least one sort key")
    return compile_sort(spec)


class _Sort(Flow):
    def __init__(self, key: SortKey, context: Context) -> None:
        self._key = key
        self._memory = context.memory("$sort")
        self._held: list[Document] = []

    async def push(self, batch: Batch) -> Batch:
        self._memory.add(batch)
        self._held += batch
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        held, self._held = self._held, []
        held.sort(key=self._key)
        for batch in slices(held):
            yield batch


def best(name: str, key: SortKey, count: int) -> Stage:
    """A ``$sort`` of which only the first ``count`` documents are wanted: no more are held."""
    return Stage(name, lambda context: _Best(key, count, context))


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
