"""How a bulk adds up: counts, errors with their places and statements, the driver's exception at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.bulk_shared import _merge_command, _raise_bulk_write_error, _Run
from pymongo.message import _DELETE, _INSERT, _UPDATE

from shadow.ops.base import Reply
from shadow.ops.replies import checked

INSERT, UPDATE, DELETE = _INSERT, _UPDATE, _DELETE


def empty_details() -> dict[str, Any]:
    """``BulkWriteResult.bulk_api_result`` of a bulk that has done nothing yet."""
    return {
        "writeErrors": [],
        "writeConcernErrors": [],
        "nInserted": 0,
        "nUpserted": 0,
        "nMatched": 0,
        "nModified": 0,
        "nRemoved": 0,
        "upserted": [],
    }


def bulk_details(kind: int, statements: Sequence[Any], reply: Reply) -> dict[str, Any]:
    """What one command's reply comes to. ``statements`` are shown in its errors.

    Raises `pymongo.errors.BulkWriteError` for write errors, `OperationFailure` for a command that failed.
    """
    run = _Run(kind)
    for index, statement in enumerate(statements):
        run.add(index, statement)
    details = empty_details()
    _merge_command(run, details, 0, checked(reply))
    raise_errors(details)
    return details


def add_part(details: dict[str, Any], places: Sequence[int], shown: Sequence[Any], part: dict[str, Any]) -> None:
    """Add a part's details to those of the whole bulk.

    Args:
        places: the place in the whole bulk of each statement of the part.
        shown: each statement of the part as the caller gave it.
    """
    for count in ("nInserted", "nUpserted", "nMatched", "nModified", "nRemoved"):
        details[count] += part[count]
    for entry in part["upserted"]:
        details["upserted"].append({**entry, "index": places[entry["index"]]})
    for error in part["writeErrors"]:
        index = error["index"]
        details["writeErrors"].append({**error, "index": places[index], "op": shown[index]})
    details["writeConcernErrors"] += part["writeConcernErrors"]


def raise_errors(details: dict[str, Any]) -> None:
    """Raise `pymongo.errors.BulkWriteError` if there are errors in the details."""
    if details["writeErrors"] or details["writeConcernErrors"]:
        _raise_bulk_write_error(details)
