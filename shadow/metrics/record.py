"""What is measured of one operation of the application."""

from __future__ import annotations

from typing import NamedTuple


class OperationRecord(NamedTuple):
    """One operation, as every sink sees it. A named tuple: a frozen dataclass costs three times as much.

    Attributes:
        entity: the entity's name.
        op: the operation's name (``update_one``).
        phase: the phase under which it ran.
        store: which store answered: ``legacy`` or ``new``.
        outcome: ``ok``, ``refused`` (the store answered with an error), ``failed`` (it did not answer), ``cancelled``.
        seconds: what the caller waited in all.
        mark_seconds: what of it the mark took; None where none was made.
        sync_seconds: what of it the awaited sync took; None where none was awaited.
    """

    entity: str
    op: str
    phase: str
    store: str
    outcome: str
    seconds: float
    mark_seconds: float | None = None
    sync_seconds: float | None = None
