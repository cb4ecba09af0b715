"""``count``, and the counting that ``aggregate`` shares with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.commands.fields import check_fields, collation_of, document, whole_number
from shadow_adapters.postgres.query import Query, compile_query, key_of_filter, matching_rows
from shadow_adapters.postgres.replies import Reply

_COUNT: Final = frozenset(("count", "query", "limit", "skip", "collation"))
_REFUSED: Final = frozenset(("let", "explain", "bypassDocumentValidation"))


async def count(call: Call, command: Mapping[str, Any]) -> Reply:
    """``{n: ...}``. Raises `CommandFailure`, `NotReadable`, `StoreDown`."""
    check_fields(command, "count", _COUNT, _REFUSED)
    skip, limit = whole_number(command, "skip"), whole_number(command, "limit")
    filter, collation = document(command, "query"), collation_of(command)
    return {"n": await count_matching(call, filter, skip, limit, collation=collation), "ok": 1.0}


async def count_matching(
    call: Call,
    filter: Mapping[str, Any],
    skip: int,
    limit: int,
    variables: Mapping[str, Any] | None = None,
    collation: Collation = SIMPLE,
) -> int:
    """How many documents match, behind the first ``skip`` and no more than ``limit`` (0: all). Raises as `count`."""
    gate = call.read_gate(key_of_filter(filter, collation))
    query = compile_query(call, gate, filter, variables=variables, collation=collation)
    wanted = skip + limit if limit else None
    if query.condition.exact:
        total = await _count_in_sql(call, gate, query)
    else:
        total = await _count_by_streaming(call, gate, query, wanted)
    found = max(0, total - skip)
    return min(found, limit) if limit else found


async def _count_in_sql(call: Call, gate: Gate, query: Query) -> int:
    select = f"SELECT count(*) FROM {call.layout.table} AS t WHERE {query.condition.sql}"
    sql = f"WITH r AS MATERIALIZED (SELECT {gate.sql} AS ok) SELECT r.ok, CASE WHEN r.ok THEN ({select}) END FROM r"
    rows = await call.fetch(gate, sql, query.args.values, writing=False)
    return int(rows[0][1])


async def _count_by_streaming(call: Call, gate: Gate, query: Query, wanted: int | None) -> int:
    """Count by streaming, no further than is asked for."""
    total = 0
    async with aclosing(matching_rows(call, gate, query)) as stream:
        async for rows in stream:
            total += len(rows)
            if wanted is not None and total >= wanted:
                break
    return total
