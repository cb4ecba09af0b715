"""New's answers and failures in the driver's words, and what of an answer is compared."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from pymongo.errors import AutoReconnect, NetworkTimeout

from shadow.compare.kinds import QUERY, RECORD, RESULT, Call, Shape
from shadow.ops.aggregate import AggregateOp
from shadow.ops.base import Op
from shadow_adapters.failures import OutcomeUnknown, OutOfTime, StoreDown, StoreError

_RETRYABLE = {"errorLabels": ["RetryableWriteError"]}


def driver_exception(error: StoreError) -> Exception:
    """The exception that the driver raises where a store cannot be reached; the text names the store and the fix."""
    if isinstance(error, OutcomeUnknown):
        return NetworkTimeout(f"PostgreSQL did not say whether the write was applied ({error})", _RETRYABLE)
    if isinstance(error, OutOfTime):
        return NetworkTimeout(f"PostgreSQL has not answered in the time that the call was given ({error})", _RETRYABLE)
    if isinstance(error, StoreDown):
        return AutoReconnect(f"PostgreSQL cannot be reached; the call may be repeated ({error})", _RETRYABLE)
    return error


def unsupported_in(reply: Mapping[str, Any]) -> str | None:
    """The name of what new does not serve, where that is why a reply is an error."""
    if "unsupported" in reply:
        return str(reply["unsupported"])
    return next((str(each["unsupported"]) for each in reply.get("writeErrors", ()) if "unsupported" in each), None)


def promise(op: Op[Any], fixed: bool) -> Call | None:
    """What a read promises of its answer; None where it promises nothing. ``fixed``: its filter fixes ``_id``."""
    if isinstance(op, AggregateOp):
        return op.promise()
    command = op.command()
    if "find" not in command:
        return RESULT
    single = command.get("singleBatch") and abs(command.get("limit", 0)) == 1
    if fixed:
        return RECORD if single else QUERY
    # an order by a score is told by nothing in the records, nor is what comes behind it
    fields = takewhile(lambda pair: pair[1] in (1, -1), dict(command.get("sort") or {}).items())
    sort = tuple((field, int(way)) for field, way in fields)
    chosen = bool(command.get("limit") or command.get("skip"))
    return Call(Shape.DOCUMENT if single else Shape.DOCUMENTS, sort, chosen, command.get("collation"))
