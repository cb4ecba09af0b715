"""``aggregate``: its first stages as a query, the others over what the query finds.

The leading ``$match``, ``$sort``, ``$skip`` and ``$limit`` run as ``find`` does: in SQL where that is exact, rechecked
here where it is not. What follows is computed in memory, a batch at a time, but for counting, which is SQL's again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE
from shadow_adapters.bson.expression.collated import compares
from shadow_adapters.bson.numbers import INT, integer
from shadow_adapters.bson.pipeline import Batch, Context, Document, Leading, compile_pipeline, leading, slices
from shadow_adapters.bson.pipeline.counting import limit_count, skip_count
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.count import count_matching
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, variables_of, whole_number
from shadow_adapters.postgres.errors import ERRORS, mapped
from shadow_adapters.postgres.grouping import Grouping, compile_grouping
from shadow_adapters.postgres.query import Query, batches, compile_query, fetch_all, key_of_filter
from shadow_adapters.postgres.replies import Reply
from shadow_adapters.postgres.sources import NeighbourSources

_SERVED: Final = frozenset(("aggregate", "pipeline", "cursor", "let", "collation", "allowDiskUse"))
_REFUSED: Final = frozenset(("explain", "bypassDocumentValidation", "exchange", "encryptionInformation"))
_CURSOR: Final = frozenset(("batchSize",))
_COMPARING_NOTHING: Final = frozenset(
    (
        "$addFields",
        "$count",
        "$limit",
        "$project",
        "$replaceRoot",
        "$replaceWith",
        "$set",
        "$skip",
        "$unset",
        "$unwind",
    )
)
"""Stages that compare nothing, if their expressions do not."""
_COUNTING: Final = {"$group": {"_id": 1, "n": {"$sum": 1}}}
_FEW: Final = 1000
"""As many documents are fetched at once; for more a cursor is worth its transaction."""


async def aggregate(call: Call, command: Mapping[str, Any]) -> Reply:
    """All results in one batch. Raises `CommandFailure`, `NotReadable`, `StoreDown`."""
    _check(command)
    counting = _count_documents(command["pipeline"])
    if counting is not None:
        found = await count_matching(call, *counting, variables_of(call, command), collation_of(command))
        return _reply(call, [_tally(command["pipeline"][-1], found)] if found else [])
    async with aclosing(Aggregation(call, command).run()) as stream:
        return _reply(call, [found async for batch in stream for found in batch])


def _reply(call: Call, documents: list[Document]) -> Reply:
    return {"cursor": {"firstBatch": documents, "id": 0, "ns": call.namespace}, "ok": 1.0}


def _count_documents(stages: Any) -> tuple[Mapping[str, Any], int, int] | None:
    """Filter, skip and limit of the pipeline that ``count_documents`` sends, which needs not be compiled as others."""
    if not isinstance(stages, list) or not 2 <= len(stages) <= 4 or stages[-1] != _COUNTING:
        return None
    if type(stages[-1]["$group"]["n"]["$sum"]) is not int:  # true and 1.0 are 1 to Python
        return None
    names = [next(iter(stage)) if type(stage) is dict and len(stage) == 1 else "" for stage in stages[:-1]]
    if names[0] != "$match" or names[1:] not in ([], ["$skip"], ["$limit"], ["$skip", "$limit"]):
        return None
    filter, window = stages[0]["$match"], {name: stage[name] for name, stage in zip(names, stages, strict=False)}
    if not isinstance(filter, Mapping):
        return None
    skip = skip_count(window["$skip"]) if "$skip" in window else 0
    return filter, skip, limit_count(window["$limit"]) if "$limit" in window else 0


class AggregateCursor:
    """An `aggregate` under way. It keeps its connection, and a transaction on it, until it is closed."""

    def __init__(self, call: Call, command: Mapping[str, Any]) -> None:
        self._batches = Aggregation(call, command).run()

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


class Aggregation:
    """A compiled ``aggregate`` command. Raises `CommandFailure` for one that is refused.

    Attributes:
        stages: the pipeline's, as they were sent.
        first: what of them is a query.
        counted: how many stages counting does, the query's among them; 0 where nothing is counted.
        query: the query, compiled, behind its ``gate``.
        grouping: the ``$group`` behind it as a statement, which may turn out to have no answer; None where it is none.
    """

    def __init__(self, call: Call, command: Mapping[str, Any]) -> None:
        _check(command)
        self.stages: Sequence[Mapping[str, Any]] = command["pipeline"]
        variables = variables_of(call, command)
        self._pipeline = compile_pipeline(self.stages, variables)
        sources = NeighbourSources(call, command["aggregate"])
        for reading in self._pipeline.reads:
            sources.check(reading.stage, reading.collection)
        self._call = call
        self._context = Context(variables, sources, disk=command.get("allowDiskUse") is not False)
        self.first = leading(self.stages)
        self._collation = collation_of(command)
        self.gate = call.read_gate(key_of_filter(self.first.filter, self._collation))
        self.query = self._compile()
        if self.query.sort is not None and self.query.order is None and not self._context.disk:
            # the stage itself holds no more than it may
            self.first = Leading(self.first.filter, stages=_matches(self.stages))
            self.query = self._compile()
        self.counted = _counted(self.stages, self.first)
        rest = self.stages[self.counted or self.first.stages :]
        if self._collation is not SIMPLE and any(map(_may_compare, rest)):
            raise CommandFailure(
                2, "comparing behind the query is not served under a collation", unsupported="collation of a pipeline"
            )
        self.grouping = self._compile_grouping()

    def _compile_grouping(self) -> Grouping | None:
        first = self.first
        if self.counted or first.sort or first.skip or first.limit or first.stages == len(self.stages):
            return None
        spec = self.stages[first.stages].get("$group")
        if spec is None or not self._context.disk:
            return None
        return compile_grouping(self._call, self.gate, self.query, spec)

    async def run(self) -> AsyncGenerator[Batch]:
        """The results, in batches that are not empty. To be closed (`aclosing`)."""
        grouped = await self._group()
        begin = self._count() if self.counted else self._find() if grouped is None else _given(grouped)
        rest = self._pipeline.behind(self.counted or self.first.stages + (grouped is not None))
        async with aclosing(begin) as source, aclosing(rest.run(source, self._context)) as stream:
            async for batch in stream:
                yield batch

    def _compile(self) -> Query:
        first = self.first
        return compile_query(
            self._call,
            self.gate,
            first.filter,
            sort=first.sort,
            skip=first.skip,
            limit=first.limit,
            variables=self._context.variables,
            collation=self._collation,
        )

    async def _find(self) -> AsyncGenerator[Batch]:
        query = self.query
        if query.named or 0 < query.limit <= _FEW:
            if documents := await fetch_all(self._call, self.gate, query):
                yield documents
            return
        async with aclosing(batches(self._call, self.gate, query)) as stream:
            async for documents in stream:
                yield documents

    async def _group(self) -> list[Document] | None:
        """The groups of a ``$group`` that SQL can compute, and was told all of."""
        if self.grouping is None:
            return None
        rows = await self._call.fetch(self.gate, self.grouping.sql, self.query.args.values, writing=False)
        return self.grouping.documents(rows)

    async def _count(self) -> AsyncGenerator[Batch]:
        first = self.first
        found = await count_matching(
            self._call, first.filter, first.skip, first.limit, self._context.variables, self._collation
        )
        if found:
            yield [_tally(self.stages[self.counted - 1], found)]


async def _given(documents: list[Document]) -> AsyncGenerator[Batch]:
    for batch in slices(documents):
        yield batch


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


def _may_compare(stage: Mapping[str, Any]) -> bool:
    """Whether what a stage does may depend on how texts compare."""
    ((name, spec),) = stage.items()
    return name not in _COMPARING_NOTHING or compares(spec)


def _matches(stages: Sequence[Mapping[str, Any]]) -> int:
    """How many ``$match`` a pipeline begins with."""
    return next((at for at, stage in enumerate(stages) if "$match" not in stage), len(stages))


def _counted(stages: Sequence[Mapping[str, Any]], first: Leading) -> int:
    """How many stages are done by counting, where the one behind the query does nothing else."""
    if first.stages == len(stages):
        return 0
    ((name, spec),) = stages[first.stages].items()
    if name == "$count":
        return first.stages + 1
    constant = name == "$group" and (spec["_id"] is None or type(spec["_id"]) is int)
    outputs = [value for field, value in spec.items() if field != "_id"] if constant else []
    counts = outputs and all(value == {"$sum": 1} and type(value["$sum"]) is int for value in outputs)
    return first.stages + 1 if counts else 0


def _tally(stage: Mapping[str, Any], found: int) -> Document:
    """What a counting stage gives."""
    number = integer(found, INT)
    if "$count" in stage:
        return {stage["$count"]: number}
    spec = stage["$group"]
    return {"_id": spec["_id"], **{field: number for field in spec if field != "_id"}}
