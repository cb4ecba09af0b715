"""Running pipelines over documents and collections in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.pipeline import Batch, Context, Document, compile_pipeline
from shadow_adapters.failures import CommandFailure

NOW = DatetimeMS(1_000)


class Collections:
    """Collections by name, as the sources of a pipeline. ``asked``: the filters that they were asked with."""

    def __init__(self, collections: Mapping[str, Sequence[Document]]) -> None:
        self.collections = collections
        self.asked: list[Mapping[str, Any]] = []

    def check(self, stage: str, collection: str) -> None:
        if collection not in self.collections:
            raise CommandFailure(115, f"{collection} is not here", unsupported=stage)

    async def find(
        self, collection: str, filter: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> AsyncGenerator[Batch]:
        self.asked.append(filter)
        matches = compile_filter(filter, variables).matches
        for document in self.collections[collection]:
            if matches(document):
                yield [document]


def stored(documents: Sequence[Document]) -> list[Document]:
    """Documents as a store holds them."""
    return [decode(encode(document)) for document in documents]


async def run_async(
    stages: Any,
    documents: Sequence[Document] = (),
    *,
    sources: Collections | None = None,
    batch: int = 2,
    disk: bool = True,
    let: Mapping[str, Any] | None = None,
) -> list[Document]:
    """The result of a pipeline over documents that come in batches. Raises `CommandFailure`."""
    given = stored(documents)

    async def source() -> AsyncGenerator[Batch]:
        for at in range(0, len(given), batch):
            yield given[at : at + batch]

    context = Context({"NOW": NOW, **(let or {})}, sources or Collections({}), disk)
    pipeline = compile_pipeline(stages, let or ())
    found = [document async for out in pipeline.run(source(), context) for document in out]
    assert given == stored(documents), "a pipeline must not change what it is given"
    return found


def run(stages: Any, documents: Sequence[Document] = (), **options: Any) -> list[Document]:
    """`run_async` where no loop is running."""
    return asyncio.run(run_async(stages, documents, **options))
