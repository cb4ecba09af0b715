"""``count``, and ``aggregate`` in the one form in which ``count_documents`` sends it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.commands.fields import check_fields, document, whole_number
from shadow_adapters.postgres.query import Query, compile_query, key_of_filter, matching_rows
from shadow_adapters.postgres.replies import Reply

_COUNT: Final = frozenset(("count", "query", "limit", "skip", "collation"))
_AGGREGATE: Final = frozenset(("aggregate", "pipeline", "cursor", "collation", "allowDiskUse"))
_REFUSED: Final = frozenset(("let", "explain", "bypassDocumentValidation"))
_GROUP: Final = {"_id": 1, "n": {"$sum": 1}}


async def count(call: Call, command: Mapping[str, Any]) -> Reply:
    """``{n: ...}``. Raises `CommandFailure`, `NotReadable`, `StoreDown`."""
    check_fields(command, "count", _COUNT, _REFUSED)
    skip, limit = whole_number(command, "skip"), whole_number(command, "limit")
    return {"n": await _count(call, document(command, "query"), skip, limit), "ok": 1.0}


async def aggregate(call: Call, command: Mapping[str, Any]) -> Reply:
    """The pipeline ``[$match, $skip?, $limit?, {$group: {_id: 1, n: {$sum: 1}}}]``; any other stage is refused."""
    check_fields(command, "aggregate", _AGGREGATE, _REFUSED)
    stages = {}
    for stage in command["pipeline"]:
        name, value = next(iter(stage.items()))
        if name not in ("$match", "$skip", "$limit", "$group") or name in stages or "$group" in stages:
            raise CommandFailure(115, f"aggregation stage {name} is not served here", unsupported=f"aggregate {name}")
        if (name in ("$match", "$skip") and "$limit" in stages) or (name == "$match" and "$skip" in stages):
            raise CommandFailure(115, f"{name} behind $skip or $limit is not served", unsupported=f"aggregate {name}")
        stages[name] = value
    if stages.get("$group") != _GROUP:
        raise CommandFailure(115, "only the counting of documents is served", unsupported="aggregate $group")
    n = await _count(call, stages.get("$match", {}), whole_number(stages, "$skip"), whole_number(stages, "$limit"))
    batch = [{"_id": 1, "n": n}] if n else []
    return {"cursor": {"firstBatch": batch, "id": 0, "ns": call.namespace}, "ok": 1.0}


async def _count(call: Call, filter: Mapping[str, Any], skip: int, limit: int) -> int:
    gate = call.read_gate(key_of_filter(filter))
    query = compile_query(call, gate, filter)
    wanted = skip + limit if limit else None
    if query.condition.exact:
        total = await _count_in_sql(call, gate, query)
    else:
        total = await _count_matching(call, gate, query, wanted)
    found = max(0, total - skip)
    return min(found, limit) if limit else found


async def _count_in_sql(call: Call, gate: Gate, query: Query) -> int:
    select = f"SELECT count(*) FROM {call.layout.table} AS t WHERE {query.condition.sql}"
    sql = f"WITH r AS MATERIALIZED (SELECT {gate.sql} AS ok) SELECT r.ok, CASE WHEN r.ok THEN ({select}) END FROM r"
    rows = await call.fetch(gate, sql, query.args.values, writing=False)
    return int(rows[0][1])


async def _count_matching(call: Call, gate: Gate, query: Query, wanted: int | None) -> int:
    """Count by streaming, no further than is asked for."""
    total = 0
    async with aclosing(matching_rows(call, gate, query)) as stream:
        async for rows in stream:
            total += len(rows)
            if wanted is not None and total >= wanted:
                break
    return total
