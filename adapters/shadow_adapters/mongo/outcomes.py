"""What an exception of the MongoDB driver says of the write that raised it, in one table, most specific first.

Source: pymongo 4.9 to 4.20, `pymongo.errors`. ``ServerSelectionTimeoutError`` is raised only where nothing was sent:
when a retry finds no server, the driver raises the first attempt's error instead.
"""

from __future__ import annotations

from enum import Enum

from bson.errors import BSONError
from pymongo import errors

from shadow_adapters.failures import OutcomeUnknown, Refused, StoreDown, StoreError


class Outcome(Enum):
    """What became of a write."""

    NOTHING = "nothing"  # definitely refused: nothing was changed
    SOME = "some"  # definitely over: something may have been changed
    UNKNOWN = "unknown"  # it may still be applied


_TABLE: tuple[tuple[type[BaseException], Outcome], ...] = (
    (errors.ServerSelectionTimeoutError, Outcome.NOTHING),
    (errors.ConnectionFailure, Outcome.UNKNOWN),
    (errors.BulkWriteError, Outcome.SOME),
    (errors.WriteConcernError, Outcome.SOME),
    (errors.ExecutionTimeout, Outcome.SOME),
    (errors.OperationFailure, Outcome.NOTHING),
    (errors.PyMongoError, Outcome.NOTHING),
    (BSONError, Outcome.NOTHING),
    (TypeError, Outcome.NOTHING),
    (ValueError, Outcome.NOTHING),
    (OverflowError, Outcome.NOTHING),
    (BaseException, Outcome.UNKNOWN),
)


def outcome_of(error: BaseException) -> Outcome:
    """What became of the write that raised ``error``."""
    if isinstance(error, errors.PyMongoError) and error.has_error_label("RetryableWriteError"):
        return Outcome.UNKNOWN
    return next(outcome for kind, outcome in _TABLE if isinstance(error, kind))


_REFUSALS = {11000: "unique", 11001: "unique", 121: "check", 10334: "size", 17280: "size", 2: "type"}


def store_error(error: errors.PyMongoError) -> StoreError:
    """The driver's exception as the protocol knows it. Its text carries no values."""
    what = f"MongoDB: {type(error).__name__}"
    if isinstance(error, errors.ServerSelectionTimeoutError):
        return StoreDown(what)
    if outcome_of(error) is Outcome.UNKNOWN:
        return OutcomeUnknown(what)
    if isinstance(error, errors.OperationFailure) and error.code is not None:
        return _refused(what, error.code)
    if isinstance(error, errors.DocumentTooLarge):
        return Refused("the document is larger than MongoDB holds (16 MB)", kind="size")
    return StoreDown(what)


def bulk_refusals(error: errors.BulkWriteError) -> dict[int, Refused]:
    """The operations of an unordered bulk that the server refused, by their index.

    Raises `OutcomeUnknown` where it does not say that the others will last.
    """
    details = error.details or {}
    if details.get("writeConcernErrors"):
        raise OutcomeUnknown("MongoDB: the write concern was not met") from None
    return {each["index"]: _refused("MongoDB", each["code"]) for each in details.get("writeErrors", ())}


def _refused(what: str, code: int) -> Refused:
    return Refused(f"{what}, code {code}", kind=_REFUSALS.get(code, "check"))
