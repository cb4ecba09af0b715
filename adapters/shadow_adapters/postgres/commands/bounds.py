"""``min`` and ``max`` of ``find``: the part of the hinted index in which a document must have a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shadow_adapters.bson.order import row_key, value_rows
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call
from shadow_adapters.postgres.commands.fields import document
from shadow_adapters.postgres.commands.hints import hinted
from shadow_adapters.postgres.layouts.documents import DocumentsLayout

Place = Callable[[Mapping[str, Any]], bytes | None]
"""From a document to its first key within the bounds, None where it has none there."""


def bounds_of(call: Call, command: Mapping[str, Any]) -> Place | None:
    """The bounds of a ``find`` whose hint is obeyed already; None where it has none.

    Raises `CommandFailure` (MongoDB 8.0, ``QueryPlanner::plan``): 51173 without a hint, 51174 where the fields are not
    the index's, 51175 where nothing can be between the two, 51176 where their fields differ; 72 on a real table, whose
    indexes are its designer's.
    """
    low, high = document(command, "min"), document(command, "max")
    if not low and not high:
        return None
    if not isinstance(call.layout, DocumentsLayout):
        name = "min" if low else "max"
        raise CommandFailure(72, f"option {name} of find is not served on a real table", unsupported=f"find {name}")
    if low and high and list(low) != list(high):
        raise CommandFailure(51176, "min and max must have the same field names")
    hint = command.get("hint")
    if not hint or (isinstance(hint, Mapping) and "$natural" in hint):
        raise CommandFailure(51173, "When using min()/max() a hint of which index to use must be provided")
    index = hinted(call.layout, hint)
    if index is None:
        return None  # there is no such collection, or the hint would have been refused
    if not index.ordered:
        name = "min" if low else "max"
        text = f"option {name} of find is not served by an index that tells no order"
        raise CommandFailure(72, text, unsupported=f"find {name}")
    if any(bound and list(bound) != list(index.key) for bound in (low, high)):
        raise CommandFailure(51174, "The index chosen is not compatible with min/max")
    paths = [tuple(path.split(".")) for path in index.key]
    first = row_key(list(low.values()), index.descending) if low else b""
    last = row_key(list(high.values()), index.descending) if high else None
    if last is not None and first >= last:
        text = "The value provided for min() does not come before the value provided for max() in the hinted index"
        raise CommandFailure(51175, text)

    def place(found: Mapping[str, Any]) -> bytes | None:
        keys = (row_key(row, index.descending) for row in value_rows(found, paths))
        return min((key for key in keys if first <= key and (last is None or key < last)), default=None)

    return place
