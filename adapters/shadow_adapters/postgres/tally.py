"""Stages of an aggregation that do nothing but count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.numbers import INT, integer
from shadow_adapters.bson.pipeline import Document, Leading
from shadow_adapters.bson.pipeline.counting import limit_count, skip_count

_COUNTING: Final = {"$group": {"_id": 1, "n": {"$sum": 1}}}


def count_documents(stages: Any) -> tuple[Mapping[str, Any], int, int] | None:
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


def counted_stages(stages: Sequence[Mapping[str, Any]], first: Leading) -> int:
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


def tally(stage: Mapping[str, Any], found: int) -> Document:
    """What a counting stage gives."""
    number = integer(found, INT)
    if "$count" in stage:
        return {stage["$count"]: number}
    spec = stage["$group"]
    return {"_id": spec["_id"], **{field: number for field in spec if field != "_id"}}
