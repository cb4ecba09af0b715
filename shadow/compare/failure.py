"""When two stores fail alike, and when a store has not answered at all.

Each store words its failures in its own way: MongoDB's codes, PostgreSQL's SQLSTATEs, Shadow's own `Refused`. They are
brought to MongoDB's codes here, because those are what the caller sees.
"""

from __future__ import annotations

from pymongo.errors import BulkWriteError, OperationFailure

from shadow_adapters.failures import CommandFailure, Refused

DUPLICATE_KEY = 11000
VALIDATION = 121

_DUPLICATES = {11001: DUPLICATE_KEY, 12582: DUPLICATE_KEY}  # codes of older servers and of upserts
_SQLSTATES = {"23505": DUPLICATE_KEY}  # the other integrity errors reach callers as failed validation
_INTEGRITY = ("22", "23")  # SQLSTATE classes: data exceptions, constraint violations

Failure = int | str | tuple[tuple[int, int], ...]


def answered(error: BaseException) -> bool:
    """Whether the store answered with this error; if not, it was away, or could not serve the call."""
    if isinstance(error, CommandFailure):
        return error.unsupported is None
    return isinstance(error, Refused | OperationFailure) or _sqlstate(error)[:2] in _INTEGRITY


def failure(error: BaseException) -> Failure:
    """What the error comes to for the caller: MongoDB's code, each write's index and code of a bulk, else the class."""
    if isinstance(error, BulkWriteError):
        errors = (error.details or {}).get("writeErrors", ())
        return tuple((each["index"], _DUPLICATES.get(each["code"], each["code"])) for each in errors)
    if isinstance(error, Refused):
        return DUPLICATE_KEY if error.kind == "unique" else VALIDATION
    if state := _sqlstate(error):
        return _SQLSTATES.get(state, VALIDATION) if state[:2] in _INTEGRITY else state
    code = getattr(error, "code", None)
    return _DUPLICATES.get(code, code) if isinstance(code, int) else type(error).__name__


def describe(error: BaseException) -> str:
    """The error without its text, which may quote values."""
    name, what = type(error).__name__, failure(error)
    return name if what == name else f"{name}({what})"


def _sqlstate(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""
