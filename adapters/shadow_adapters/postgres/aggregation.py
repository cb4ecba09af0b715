"""An aggregation on PostgreSQL: a query, counting or groups in SQL, and the rest over what they give.

The leading ``$match``, ``$sort``, ``$skip`` and ``$limit`` run as ``find`` does: in SQL where that is exact, rechecked
here where it is not. What follows is computed in memory, a batch at a time, but for counting and for groups of plain
fields, which are SQL's again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE
from shadow_adapters.bson.expression.collated import compares
from shadow_adapters.bson.expression.meta import TEXT_SCORE
from shadow_adapters.bson.match.text import TextMatch, split_text, uses_text
from shadow_adapters.bson.order import Score
from shadow_adapters.bson.pipeline import Batch, Context, Document, Leading, compile_pipeline, leading, slices
from shadow_adapters.bson.pipeline.sort import scores_first
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.count import count_matching
from shadow_adapters.postgres.commands.fields import collation_of, variables_of
from shadow_adapters.postgres.grouping import Grouping, compile_grouping
from shadow_adapters.postgres.query import Query, batches, compile_query, fetch_all, key_of_filter, text_index
from shadow_adapters.postgres.sources import NeighbourSources
from shadow_adapters.postgres.tally import counted_stages, tally

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
_FEW: Final = 1000
"""As many documents are fetched at once; for more a cursor is worth its transaction."""


class Aggregation:
    """A compiled ``aggregate`` command, whose fields are checked already. Raises `CommandFailure` where it is refused.

    Attributes:
        stages: the pipeline's, a ``$sort`` by a score as early as it can be.
        first: what of them is a query.
        counted: how many stages counting does, the query's among them; 0 where nothing is counted.
        query: the query, compiled, behind its ``gate``.
        grouping: the ``$group`` behind it as a statement, which may turn out to have no answer; None where it is none.
    """

    def __init__(self, call: Call, command: Mapping[str, Any]) -> None:
        self.stages: Sequence[Mapping[str, Any]] = scores_first(command["pipeline"])
        variables = variables_of(call, command) | _score(call, self.stages)
        self._pipeline = compile_pipeline(self.stages, variables)
        sources = NeighbourSources(call, command["aggregate"])
        for reading in self._pipeline.reads:
            sources.check(reading.stage, reading.collection)
        self._call = call
        check = None if call.limit is None else call.limit.check
        self._context = Context(variables, sources, disk=command.get("allowDiskUse") is not False, check=check)
        self.first = leading(self.stages)
        self._collation = collation_of(command)
        self.gate = call.read_gate(key_of_filter(self.first.filter, self._collation))
        self.query = self._compile()
        if self.query.sort is not None and self.query.order is None and not self._context.disk:
            # the stage itself holds no more than it may
            self.first = Leading(self.first.filter, stages=_matches(self.stages))
            self.query = self._compile()
        self.counted = counted_stages(self.stages, self.first)
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
            yield [tally(self.stages[self.counted - 1], found)]


async def _given(documents: list[Document]) -> AsyncGenerator[Batch]:
    for batch in slices(documents):
        yield batch


def _score(call: Call, stages: Any) -> dict[str, Score]:
    """What ``{$meta: "textScore"}`` means in a pipeline that begins with a ``$text``; nothing in any other."""
    first = stages[0] if isinstance(stages, list | tuple) and stages else None
    filter = first.get("$match") if isinstance(first, Mapping) else None
    if not isinstance(filter, Mapping) or not uses_text(filter):
        return {}
    argument, _ = split_text(filter)
    return {TEXT_SCORE: TextMatch(argument, text_index(call).definition).score}


def _may_compare(stage: Mapping[str, Any]) -> bool:
    """Whether what a stage does may depend on how texts compare."""
    ((name, spec),) = stage.items()
    return name not in _COMPARING_NOTHING or compares(spec)


def _matches(stages: Sequence[Mapping[str, Any]]) -> int:
    """How many ``$match`` a pipeline begins with."""
    return next((at for at, stage in enumerate(stages) if "$match" not in stage), len(stages))
