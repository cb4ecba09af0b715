"""Replies as the driver reads them: its own checks, its own exceptions, its own result documents."""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure
from pymongo.helpers_shared import _check_command_response, _check_write_command_response

from shadow.ops.base import Reply
from shadow_adapters.failures import CommandFailure


def checked(reply: Reply) -> Reply:
    """The reply of a command that succeeded.

    Raises what the driver raises for one that failed (`pymongo.errors.OperationFailure` and its subclasses).
    """
    shown = for_the_caller(reply) if "unsupported" in reply or "writeErrors" in reply else reply
    _check_command_response(shown, None)
    return shown


def for_the_caller(reply: Reply) -> Reply:
    """The reply without the note that names what new does not serve, which the router counts."""
    shown = {field: value for field, value in reply.items() if field != "unsupported"}
    if "writeErrors" in shown:
        shown["writeErrors"] = [
            {field: value for field, value in error.items() if field != "unsupported"} for error in shown["writeErrors"]
        ]
    return shown


def driver_error(failure: CommandFailure) -> OperationFailure:
    """The exception that the driver raises where MongoDB answers this."""
    try:
        checked({"ok": 0.0, "code": failure.code, "errmsg": failure.message, **failure.details})
    except OperationFailure as error:
        return error
    raise AssertionError("a reply that is not ok raises")


def checked_write(reply: Reply) -> Reply:
    """The reply of a write command of one statement that succeeded.

    Raises what the driver raises: `pymongo.errors.DuplicateKeyError`, `WriteError`, `OperationFailure`.
    """
    shown = checked(reply)
    _check_write_command_response(shown)
    return shown


def raw_update(reply: Reply) -> dict[str, Any]:
    """``UpdateResult.raw_result`` as the driver makes it: one ``_id`` for ``upserted``, and ``updatedExisting``."""
    raw = dict(reply)
    raw["updatedExisting"] = bool(raw.get("n")) and "upserted" not in raw
    if "upserted" in raw:
        raw["upserted"] = raw["upserted"][0]["_id"]
    return raw


def first_batch(reply: Reply) -> list[dict[str, Any]]:
    """The documents of a cursor's first batch."""
    batch: list[dict[str, Any]] = checked(reply)["cursor"]["firstBatch"]
    return batch
