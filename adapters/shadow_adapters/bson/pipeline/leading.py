"""The stages at the head of a pipeline that a query can do: ``$match``, then ``$sort``, then ``$skip`` and ``$limit``.

Several ``$match`` are one filter; ``$skip`` and ``$limit`` in any order are one window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.pipeline.counting import limit_count, skip_count


@dataclass(frozen=True, slots=True)
class Leading:
    """A query, and how many stages it does. ``limit`` 0: none."""

    filter: Mapping[str, Any]
    sort: Mapping[str, Any] | None = None
    skip: int = 0
    limit: int = 0
    stages: int = 0


def leading(stages: Sequence[Mapping[str, Any]]) -> Leading:
    """What a query can do of a pipeline that was compiled, and so checked, already."""
    named = [next(iter(stage.items())) for stage in stages]
    matches = _run_of(named, 0, ("$match",))
    filters = [spec for _, spec in named[:matches] if spec]
    filter = filters[0] if len(filters) == 1 else {"$and": filters} if filters else {}
    position = matches
    sort = None
    if position < len(named) and named[position][0] == "$sort":
        sort = named[position][1]
        position += 1
    skip = limit = 0
    for name, spec in named[position : _run_of(named, position, ("$skip", "$limit"))]:
        if name == "$limit":
            limit = min(limit or limit_count(spec), limit_count(spec))
        else:
            skipped = skip_count(spec)
            if limit and skipped >= limit:  # nothing is left: the stage says so by itself
                break
            skip, limit = skip + skipped, limit - skipped if limit else 0
        position += 1
    return Leading(filter, sort, skip, limit, position)


def _run_of(named: Sequence[tuple[str, Any]], start: int, names: tuple[str, ...]) -> int:
    """Where the stages of these names, from ``start`` on, end."""
    end = start
    while end < len(named) and named[end][0] in names:
        end += 1
    return end
