"""PostgreSQL's and asyncpg's errors as what the protocol tells apart, in one table, most specific first.

Texts name the constraint or column and the way out. They never repeat PostgreSQL's own message or detail, which carry
the record's values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import asyncpg

from shadow_adapters.failures import OutcomeUnknown, Refused, StoreDown, StoreError


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How one SQLSTATE is told: the kind of `Refused`, what is wrong, and the way out."""

    kind: str
    what: str
    way_out: str


_REFUSALS: Final[dict[str, _Refusal]] = {
    "22000": _Refusal("type", "a value is not one that its column can hold", "map the field to another column"),
    "22001": _Refusal("length", "a value is too long for its column", "widen the column, or shorten the value"),
    "22003": _Refusal("type", "a number is out of its column's range", "widen the column's type"),
    "22007": _Refusal("type", "a date is not one that its column can hold", "map the field to another column"),
    "22008": _Refusal("type", "a date is out of its column's range", "map the field to another column"),
    "22021": _Refusal("type", "a text holds bytes that its column cannot", "leave the field unmapped"),
    "22P02": _Refusal("type", "a value is not of its column's type", "map the field to another column"),
    "22P05": _Refusal("type", "a text holds a character that its column cannot", "leave the field unmapped"),
    "23502": _Refusal("null", "a column must not be null", "give the field a value, or drop NOT NULL"),
    "23503": _Refusal("foreign", "a referenced row is missing", "migrate the parent first, or drop the foreign key"),
    "23505": _Refusal("unique", "another row has the same unique value", "change one of the two records"),
    "23514": _Refusal("check", "a check constraint does not hold", "change the record or the constraint"),
    "23P01": _Refusal("unique", "another row excludes this one", "change one of the two records"),
    "53100": _Refusal("size", "the disk of PostgreSQL is full", "make room"),
    "54000": _Refusal("size", "a value is too large for its index or row", "make the value smaller"),
    "P0001": _Refusal("check", "a trigger of the table raised an error", "change the record or the trigger"),
}

_DOWN_CLASSES: Final = ("08", "53", "57", "58", "XX")
"""Connections, resources, operator's intervention, system errors: the server cannot serve now."""

LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises where the connection is gone, beside PostgreSQL's own errors.

The last is its word for a connection that broke in a transaction, whose rollback it then cannot send."""

ERRORS: Final = (asyncpg.PostgresError, *LOST)
"""Everything that a statement can raise."""

_KEY_DETAIL: Final = re.compile(r"\((?P<columns>.*?)\)=\((?P<values>.*)\)", re.S)


def is_lost(error: BaseException) -> bool:
    """Whether the error means that the connection can no longer be used."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in ("08", "57")
    return isinstance(error, LOST)


def mapped(error: BaseException, *, writing: bool) -> StoreError | None:
    """The error as the protocol's own; None when it is no error of PostgreSQL or its connection.

    A connection lost while ``writing`` leaves the outcome unknown; everything else that is not the record's fault was
    surely not applied.
    """
    if isinstance(error, StoreError):
        return error
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error, writing)
    if isinstance(error, LOST):
        return _lost(type(error).__name__, writing)
    return None


def key_detail(error: asyncpg.PostgresError) -> tuple[str, str] | None:
    """Columns and values of a unique or foreign key violation, as PostgreSQL prints them in the detail."""
    found = _KEY_DETAIL.search(getattr(error, "detail", None) or "")
    return (found["columns"], found["values"]) if found else None


def _of_server(error: asyncpg.PostgresError, writing: bool) -> StoreError:
    state = error.sqlstate or ""
    refusal = _REFUSALS.get(state)
    if refusal is not None:
        return Refused(f"{refusal.what}{_where(error)}: {refusal.way_out}", kind=refusal.kind)
    if state[:2] in ("08", "57") and state != "57014":
        return _lost(state, writing)
    if state[:2] in _DOWN_CLASSES or state[:2] == "40":
        return StoreDown(f"PostgreSQL did not carry the statement out (SQLSTATE {state})")
    return StoreDown(f"PostgreSQL cannot run the statement (SQLSTATE {state}): run `shadow check`")


def _where(error: asyncpg.PostgresError) -> str:
    table, column, constraint = (getattr(error, f"{name}_name", None) for name in ("table", "column", "constraint"))
    if constraint:
        return f" ({table}, constraint {constraint})"
    return f" ({table}.{column})" if column else ""


def _lost(cause: str, writing: bool) -> StoreError:
    if writing:
        return OutcomeUnknown(f"the connection to PostgreSQL was lost in a write ({cause})")
    return StoreDown(f"the connection to PostgreSQL was lost ({cause})")
