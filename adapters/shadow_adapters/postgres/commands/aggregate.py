"""``aggregate``: at once, or as a cursor that holds no more than its stages must."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from shadow_adapters.bson.pipeline import Document
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.aggregation import Aggregation
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.count import count_matching
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of, whole_number
from shadow_adapters.postgres.errors import ERRORS, mapped
from shadow_adapters.postgres.replies import Reply
from shadow_adapters.postgres.tally import count_documents, tally

_SERVED: Final = frozenset(("aggregate", "pipeline", "cursor", "let", "collation", "allowDiskUse"))
_REFUSED: Final = frozenset(("explain", "bypassDocumentValidation", "exchange", "encryptionInformation"))
_CURSOR: Final = frozenset(("batchSize",))


def compile_aggregate(call: Call, command: Mapping[str, Any]) -> Aggregation:
    """The aggregation of a command. Raises `CommandFailure`."""
    _check(command)
    return Aggregation(call, command)


async def aggregate(call: Call, command: Mapping[str, Any]) -> Reply:
    """All results in one batch. Raises `CommandFailure`, `NotReadable`, `StoreDown`."""
    _check(command)
    counting = count_documents(command["pipeline"])
    if counting is not None:
        found = await count_matching(call, *counting, variables_of(call, command), collation_of(command))
        return _reply(call, [tally(command["pipeline"][-1], found)] if found else [])
    async with aclosing(Aggregation(call, command).run()) as stream:
        return _reply(call, [found async for batch in stream for found in batch])


def _reply(call: Call, documents: list[Document]) -> Reply:
    return {"cursor": {"firstBatch": documents, "id": 0, "ns": call.namespace}, "ok": 1.0}


class AggregateCursor:
    """An `aggregate` under way. It keeps its connection, and a transaction on it, until it is closed."""

    def __init__(self, call: Call, command: Mapping[str, Any]) -> None:
        self._batches = compile_aggregate(call, command).run()

    async def batch(self) -> list[Document]:
        """The next documents; an empty list at the end. Raises `NotReadable` (at the first), `StoreDown`."""
        try:
            async for documents in self._batches:
                return documents
        except ERRORS as error:  # of BEGIN and COMMIT
            raise mapped(error, writing=False) or error from None
        return []

    async def close(self) -> None:
        """End the cursor and its transaction. Never raises for a lost connection."""
        with suppress(*ERRORS):
            await self._batches.aclose()


def _check(command: Mapping[str, Any]) -> None:
    check_fields(command, "aggregate", _SERVED, _REFUSED)
    if not isinstance(command["aggregate"], str):
        raise CommandFailure(115, "aggregation without a collection is not served", unsupported="aggregate 1")
    if "pipeline" not in command:
        raise CommandFailure(40414, "BSON field 'aggregate.pipeline' is missing but a required field")
    if "cursor" not in command:
        raise CommandFailure(9, "The 'cursor' option is required, except for aggregate with the explain argument")
    options = document(command, "cursor")
    check_fields(options, "cursor", _CURSOR, frozenset())
    whole_number(options, "batchSize")
