"""``explain``: which part of a read runs in SQL, which is done here, and why.

The reply has the fields of MongoDB's that can be told of PostgreSQL (``queryPlanner``), PostgreSQL's own plan, and what
is this store's own: ``parts``, one for each thing that is done, in order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import OPEN, Call
from shadow_adapters.postgres.commands.aggregate import compile_aggregate
from shadow_adapters.postgres.commands.fields import check_fields, document
from shadow_adapters.postgres.commands.find import compile_find
from shadow_adapters.postgres.commands.hints import obeyed
from shadow_adapters.postgres.compiler.resolver import Args
from shadow_adapters.postgres.compiler.where import where
from shadow_adapters.postgres.query import Query, compile_query, rows_sql
from shadow_adapters.postgres.replies import Reply

_SERVED: Final = frozenset(("explain", "verbosity"))
_VERBOSITY: Final = ("queryPlanner", "executionStats", "allPlansExecution")

Part = dict[str, Any]

_SQL: Final = "sql"
_HERE: Final = "memory"


async def explain(call: Call, command: Mapping[str, Any]) -> Reply:
    """How a ``find``, ``aggregate`` or ``count`` would run; nothing is read. Raises `CommandFailure`, `StoreDown`."""
    check_fields(command, "explain", _SERVED, frozenset())
    inner = command["explain"]
    call = replace(call, fence=None)  # nothing is read
    if command.get("verbosity", _VERBOSITY[0]) not in _VERBOSITY:
        raise CommandFailure(2, "verbosity must be one of queryPlanner, executionStats and allPlansExecution")
    name = next(iter(inner), "") if isinstance(inner, Mapping) else ""
    if name:
        inner = await obeyed(call, inner)
    if name == "aggregate":
        filter, query, parts = _aggregate(call, inner)
    elif name == "find":
        filter, query, parts = _find(call, inner)
    elif name == "count":
        filter = document(inner, "query")
        query = compile_query(call, OPEN, filter)
        parts = [*_match(call, filter, query), {"part": "count", "by": _SQL if query.condition.exact else _HERE}]
    else:
        raise CommandFailure(59, f"Explain failed due to unknown command: {name}", unsupported=f"explain {name}")
    planner = {"namespace": call.namespace, "parsedQuery": dict(filter), "winningPlan": await _plan(call, query)}
    if query.index is not None:
        planner["indexName"] = query.index
    return {"explainVersion": "1", "queryPlanner": planner, "parts": parts, "command": dict(inner), "ok": 1.0}


def _find(call: Call, command: Mapping[str, Any]) -> tuple[Mapping[str, Any], Query, list[Part]]:
    _, query, _ = compile_find(call, command)
    filter = document(command, "filter")
    parts = _match(call, filter, query) + _window(query)
    if command.get("projection"):
        parts.append({"part": "projection", "by": _HERE, "why": "documents are stored whole"})
    return filter, query, parts


def _aggregate(call: Call, command: Mapping[str, Any]) -> tuple[Mapping[str, Any], Query, list[Part]]:
    found = compile_aggregate(call, command)
    filter, query = found.first.filter, found.query
    parts = _match(call, filter, query) + _window(query)
    done = found.counted or found.first.stages
    for stage in found.stages[found.first.stages : done]:
        part: Part = {"part": next(iter(stage)), "by": _SQL if query.condition.exact else _HERE}
        parts.append(part if query.condition.exact else part | {"why": "the matching documents are counted here"})
    if found.grouping is not None:
        parts.append({"part": "$group", "by": _SQL, "unless": "a value is no int32, text, boolean or null"})
        done += 1
    for stage in found.stages[done:]:
        why = "only leading stages, counting, and groups of plain fields run in SQL"
        parts.append({"part": next(iter(stage)), "by": _HERE, "why": why})
    return filter, query, parts


def _match(call: Call, filter: Mapping[str, Any], query: Query) -> list[Part]:
    if query.condition.exact:
        return [{"part": "filter", "by": _SQL}]
    inexact = _inexact(call, filter)
    why = f"SQL finds at least what matches; checked again for {', '.join(inexact)}" if inexact else "a collation"
    return [{"part": "filter", "by": f"{_SQL}, {_HERE}", "why": why}]


def _inexact(call: Call, filter: Mapping[str, Any]) -> list[str]:
    """The clauses of a filter that SQL does not decide."""
    return [
        name for name, condition in filter.items() if not where({name: condition}, call.layout.resolver, Args()).exact
    ]


def _window(query: Query) -> list[Part]:
    """The sort, and skip and limit."""
    parts: list[Part] = []
    if query.sort is not None and query.order is None:
        by = _HERE if query.fields is None else f"{_SQL}, {_HERE}"
        why = "no order of PostgreSQL's is BSON's for it" if query.fields is None else "SQL misplaces some values"
        parts.append({"part": "sort", "by": by, "why": why})
    elif query.sort is not None:
        parts.append({"part": "sort", "by": _SQL})
    if query.skip or query.limit:
        window: Part = {"part": "skip and limit", "by": _SQL if query.pushed else _HERE}
        parts.append(window if query.pushed else window | {"why": "they count what is left by what is done here"})
    return parts


async def _plan(call: Call, query: Query) -> Any:
    """PostgreSQL's plan for the rows."""
    sql, args = rows_sql(call, OPEN, query)
    rows: Sequence[Any] = await call.fetch(OPEN, f"EXPLAIN (FORMAT JSON) {sql}", args.values, writing=False)
    return json.loads(rows[0][0])[0]["Plan"]
