"""``$sample``: so many documents, each as likely as any other."""

from __future__ import annotations

import heapq
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from shadow_adapters.bson.numbers import INT64_LIMIT, clamped
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure


def sample(name: str, spec: Any, scope: Scope) -> Stage:
    """``$sample``. Raises `CommandFailure` 28745 to 28749."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(28745, "the $sample stage specification must be an object")
    for option, value in spec.items():
        if option != "size":
            raise CommandFailure(28748, f"unrecognized option to $sample: {option}")
        if not is_number(value):
            raise CommandFailure(28746, "size argument to $sample must be a number")
    if "size" not in spec:
        raise CommandFailure(28749, "$sample stage must specify a size")
    size = clamped(spec["size"], INT64_LIMIT)
    if size <= 0:
        raise CommandFailure(28747, "size argument to $sample must be a positive integer")
    return Stage(name, lambda context: _Sample(size, context))


class _Sample(Flow):
    """Keeps the documents that drew the least random numbers."""

    def __init__(self, size: int, context: Context) -> None:
        self._size = size
        self._context = context
        self._seen = 0
        self._held: list[tuple[float, int, Document]] = []

    async def push(self, batch: Batch) -> Batch:
        self._held += [(random.random(), self._seen + i, document) for i, document in enumerate(batch)]
        self._seen += len(batch)
        if len(self._held) > 2 * self._size:
            self._cut()
        return []

    def _cut(self) -> None:
        self._held = heapq.nsmallest(self._size, self._held)
        self._context.memory("$sample").add(document for _, _, document in self._held)

    async def end(self) -> AsyncGenerator[Batch]:
        self._cut()
        held, self._held = self._held, []
        for batch in slices([document for _, _, document in held]):
            yield batch
