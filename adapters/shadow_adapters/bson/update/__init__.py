"""MongoDB's updates as pure functions from a document to a new document.

An update is checked and compiled once (`check_update`) and applied to many documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.update.seed import upsert_seed
from shadow_adapters.bson.update.update import Position, Update, check_update, nowhere

__all__ = ["Position", "Update", "apply_update", "check_update", "upsert_seed"]


def apply_update(
    document: Mapping[str, Any],
    update: Mapping[str, Any] | Sequence[Any] | Update,
    *,
    inserting: bool,
    now: DatetimeMS,
    filter: Mapping[str, Any] | None = None,
    array_filters: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The document after the update; the given one is not changed, and what is equal is shared with it.

    Args:
        document: the document as it is, or the seed of an upsert.
        update: operators, or a replacement, or a pipeline, or any of them compiled.
        inserting: the result is the new document of an upsert: ``$setOnInsert`` counts, ``_id`` comes first.
        now: the time that ``$currentDate`` sets, and a pipeline's ``$$NOW``.
        filter: the filter that found the document, which the positional ``$`` refers to.
        array_filters: what the elements that ``$[identifier]`` stands for satisfy.

    Raises `CommandFailure` with MongoDB's codes: 2, 9, 14, 28, 40, 52, 53, 56, 66, 72.
    """
    compiled = update if isinstance(update, Update) else check_update(update, array_filters, {"NOW": now})
    position = nowhere if filter is None else compile_filter(filter).position
    return compiled.apply(document, inserting=inserting, now=now, position=position)
