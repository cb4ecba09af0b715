"""``find``: at once, or as a cursor that holds one batch in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from shadow_adapters.bson.expression.meta import TEXT_SCORE
from shadow_adapters.bson.match.text import split_text
from shadow_adapters.bson.projection import Projection, compile_projection
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.commands.bounds import bounds_of
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of, whole_number
from shadow_adapters.postgres.commands.hints import order_of
from shadow_adapters.postgres.errors import ERRORS, mapped
from shadow_adapters.postgres.query import (
    Document,
    Query,
    batches,
    compile_query,
    fetch_all,
    key_of_filter,
    within,
)
from shadow_adapters.postgres.replies import Reply

_SERVED: Final = frozenset(
    (
        "find",
        "filter",
        "sort",
        "projection",
        "let",
        "skip",
        "limit",
        "batchSize",
        "singleBatch",
        "collation",
        "noCursorTimeout",
        "allowDiskUse",
        "allowPartialResults",
        "min",
        "max",
    )
)
_REFUSED: Final = frozenset(("returnKey", "showRecordId", "tailable", "awaitData", "oplogReplay"))


def compile_find(call: Call, command: Mapping[str, Any]) -> tuple[Gate, Query, Projection]:
    """The gate, the query and the projection of a command. Raises `CommandFailure`."""
    check_fields(command, "find", _SERVED, _REFUSED)
    filter = document(command, "filter")
    collation = collation_of(command)
    gate = call.read_gate(key_of_filter(filter, collation))
    skip, limit = whole_number(command, "skip"), whole_number(command, "limit")
    variables, sort, place = variables_of(call, command), document(command, "sort"), bounds_of(call, command)
    if not sort and place is None:
        sort = order_of(call, command)
    query = compile_query(
        call, gate, filter, sort=sort, skip=skip, limit=limit, variables=variables, collation=collation
    )
    if place is not None:
        query = within(query, place)
    if query.text is not None:
        filter, variables = split_text(filter)[1], {**variables, TEXT_SCORE: query.text.score}
    return gate, query, compile_projection(document(command, "projection"), filter, variables, collation)


async def find(call: Call, command: Mapping[str, Any]) -> Reply:
    """All documents in one batch. Raises `CommandFailure`, `NotReadable`, `StoreDown`."""
    gate, query, project = compile_find(call, command)
    documents = [project.apply(found) for found in await fetch_all(call, gate, query)]
    return {"cursor": {"firstBatch": documents, "id": 0, "ns": call.namespace}, "ok": 1.0}


class FindCursor:
    """A `find` under way. It keeps its connection, and a transaction on it, until it is closed."""

    def __init__(self, call: Call, command: Mapping[str, Any]) -> None:
        gate, query, self._project = compile_find(call, command)
        self._batches = batches(call, gate, query)

    async def batch(self) -> list[Document]:
        """The next documents; an empty list at the end. Raises `NotReadable` (at the first), `StoreDown`."""
        try:
            async for documents in self._batches:
                return [self._project.apply(found) for found in documents]
        except ERRORS as error:  # of BEGIN and COMMIT
            raise mapped(error, writing=False) or error from None
        return []

    async def close(self) -> None:
        """End the cursor and its transaction. Never raises for a lost connection."""
        with suppress(*ERRORS):
            await self._batches.aclose()
