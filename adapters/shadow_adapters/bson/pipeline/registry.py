"""Every stage by name: those served, and those that MongoDB has and this store does not serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from shadow_adapters.bson.pipeline.bucket import bucket, bucket_auto, sort_by_count
from shadow_adapters.bson.pipeline.counting import count, limit, skip
from shadow_adapters.bson.pipeline.densify import densify
from shadow_adapters.bson.pipeline.documents import documents
from shadow_adapters.bson.pipeline.facet import facet
from shadow_adapters.bson.pipeline.fill import fill
from shadow_adapters.bson.pipeline.flow import Stage
from shadow_adapters.bson.pipeline.graph import graph_lookup
from shadow_adapters.bson.pipeline.group import group
from shadow_adapters.bson.pipeline.lookup import lookup
from shadow_adapters.bson.pipeline.match import match
from shadow_adapters.bson.pipeline.project import add_fields, project, unset
from shadow_adapters.bson.pipeline.redact import redact
from shadow_adapters.bson.pipeline.root import replace_root, replace_with
from shadow_adapters.bson.pipeline.sample import sample
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.sort import sort
from shadow_adapters.bson.pipeline.union import union_with
from shadow_adapters.bson.pipeline.unwind import unwind
from shadow_adapters.bson.pipeline.window import set_window_fields
from shadow_adapters.bson.pipeline.writing import refuse_merge, refuse_out
from shadow_adapters.failures import CommandFailure

StageCompiler = Callable[[str, Any, Scope], Stage]

STAGES: Final[dict[str, StageCompiler]] = {
    "$addFields": add_fields,
    "$bucket": bucket,
    "$bucketAuto": bucket_auto,
    "$count": count,
    "$densify": densify,
    "$documents": documents,
    "$facet": facet,
    "$fill": fill,
    "$graphLookup": graph_lookup,
    "$group": group,
    "$limit": limit,
    "$lookup": lookup,
    "$match": match,
    "$merge": refuse_merge,
    "$out": refuse_out,
    "$project": project,
    "$redact": redact,
    "$replaceRoot": replace_root,
    "$replaceWith": replace_with,
    "$sample": sample,
    "$set": add_fields,
    "$setWindowFields": set_window_fields,
    "$skip": skip,
    "$sort": sort,
    "$sortByCount": sort_by_count,
    "$unionWith": union_with,
    "$unset": unset,
    "$unwind": unwind,
}
"""What compiles each stage: its name, its specification, where it stands."""

REFUSED: Final = frozenset(
    (
        "$changeStream",
        "$changeStreamSplitLargeEvent",
        "$collStats",
        "$currentOp",
        "$geoNear",
        "$indexStats",
        "$listLocalSessions",
        "$listSampledQueries",
        "$listSearchIndexes",
        "$listSessions",
        "$planCacheStats",
        "$rankFusion",
        "$scoreFusion",
        "$search",
        "$searchMeta",
        "$shardedDataDistribution",
        "$vectorSearch",
    )
)
"""Stages of MongoDB that are not served here."""


def refuse(name: str) -> NoReturn:
    """Raises `CommandFailure` for a stage that is not in `STAGES`: 115 where MongoDB has it, else 40324."""
    if name in REFUSED:
        raise CommandFailure(115, f"aggregation stage {name} is not served here", unsupported=f"aggregate {name}")
    raise CommandFailure(40324, f"Unrecognized pipeline stage name: '{name}'")
