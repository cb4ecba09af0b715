"""The other collections that an aggregation reads, each held to terms of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call, Neighbour
from shadow_adapters.postgres.query import Document, batches, compile_query, fetch_all, key_of_filter


class NeighbourSources:
    """The collections beside a call's own, and that one itself (`shadow_adapters.bson.pipeline.Sources`).

    Args:
        own: name of the call's own collection.
    """

    def __init__(self, call: Call, own: str) -> None:
        self._call = call
        self._own = own

    def check(self, stage: str, collection: str) -> None:
        """Raises `CommandFailure` with ``unsupported`` where new does not serve the collection."""
        self._neighbour(stage, collection)

    async def find(
        self, collection: str, filter: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> AsyncGenerator[list[Document]]:
        """The documents that match. Raises `NotReadable` under the collection's own terms."""
        layout, fence = self._neighbour("aggregate", collection)
        call = replace(self._call, layout=layout, fence=fence)
        await layout.prepare(call.conn)
        gate = call.read_gate(key_of_filter(filter))
        query = compile_query(call, gate, filter, variables=variables)
        if query.pushed and _few(filter):
            yield await fetch_all(call, gate, query)
            return
        async with aclosing(batches(call, gate, query)) as stream:
            async for documents in stream:
                yield documents

    def _neighbour(self, stage: str, collection: str) -> Neighbour:
        if collection == self._own:
            return Neighbour(self._call.layout, self._call.fence)
        found = self._call.neighbours(collection)
        if found is None:
            text = f"{stage} from {collection}, a collection that is not served here"
            raise CommandFailure(115, text, unsupported=f"{stage} from {collection}")
        return found


def _few(filter: Mapping[str, Any]) -> bool:
    """Whether no more documents can match than the filter names, so that no cursor is worth its transaction."""
    condition = filter.get("_id")
    return isinstance(condition, Mapping) and ("$in" in condition or "$eq" in condition)
