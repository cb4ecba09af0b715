"""The words of a comparison: what kind of difference was found, what became of it, and what a call promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What differs, seen from the authority."""

    MISSING = "missing"  # the authority has a record, field or element that the follower lacks
    EXTRA = "extra"  # the follower has one that the authority lacks
    VALUE = "value"
    TYPE = "type"  # int and long, int and double, string and ObjectId
    ORDER = "order"  # of fields, or of records where the call sorts
    RESULT = "result"  # a count, or what a write reports
    ERROR = "error"  # one side fails, or each fails in its own way


class State(StrEnum):
    """What looking again made of a difference. Only ``CONFIRMED`` gates."""

    IN_FLIGHT = "in_flight"  # a mark of the record was open
    TTL_WINDOW = "ttl_window"  # the record may be expired on one side already
    NOISE = "noise"  # the authority, read twice, differs from itself
    TRANSIENT = "transient"  # gone when both sides were read again
    CONFIRMED = "confirmed"


class Shape(StrEnum):
    """What a call answers."""

    DOCUMENT = "document"  # one document or None
    DOCUMENTS = "documents"
    COMPUTED = "computed"  # documents that are no records, in no order
    GATHERED = "gathered"  # the same, of values of which any may stand for those that are equal to it (1, 1.0)
    RESULT = "result"  # a count, what a write reports, documents that are no records in a certain order


@dataclass(frozen=True, slots=True)
class Call:
    """What a call promises of its answer, and so what two answers to it must agree on.

    Args:
        shape: what it answers.
        sort: field paths and directions (1 or -1). Records with equal sort keys may come in any order.
        chosen: the store was free to choose among the matches (a limit, a skip, a ``find_one`` whose filter does not
            fix ``_id``). Records that both chose must be equal; which ones were chosen is compared by sort key only.
        collation: the order of texts where it sorts.
    """

    shape: Shape
    sort: tuple[tuple[str, int], ...] = ()
    chosen: bool = False
    collation: Mapping[str, Any] | None = field(default=None, hash=False)


RECORD = Call(Shape.DOCUMENT)
QUERY = Call(Shape.DOCUMENTS)
COMPUTED = Call(Shape.COMPUTED)
GATHERED = Call(Shape.GATHERED)
RESULT = Call(Shape.RESULT)
