"""``bulk_write`` through a router: part by part, since a filter is resolved when what stands before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.errors import BulkWriteError, ConfigurationError, OperationFailure
from pymongo.results import BulkWriteResult
from pymongo.write_concern import WriteConcern

from shadow.facade.contract import Router
from shadow.facade.seat import Seat
from shadow.ops.bulk import INSERT, add_part, empty_details, raise_errors
from shadow.ops.bulk_write import BulkWriteOp, bulk_parts
from shadow.ops.driver import Driver
from shadow.ops.statements import Statement


async def run_bulk(router: Router, parts: Sequence[BulkWriteOp], ordered: bool) -> BulkWriteResult:
    """The result of the whole bulk. Raises `pymongo.errors.BulkWriteError` with the details of all that ran."""
    details = empty_details()
    acknowledged = True
    for part in parts:
        places = [statement.place for statement in part.statements]
        shown = [statement.shown for statement in part.statements]
        try:
            result = await router.write(part)
        except BulkWriteError as error:
            add_part(details, places, shown, dict(error.details))
        else:
            acknowledged = result.acknowledged
            if acknowledged:
                add_part(details, places, shown, result.bulk_api_result)
        if ordered and details["writeErrors"]:
            break
    raise_errors(details)
    return BulkWriteResult(details, True) if acknowledged else BulkWriteResult({}, False)


async def run_careless(
    seat: Seat, requests: Any, ordered: bool, session: Any, options: dict[str, Any]
) -> BulkWriteResult:
    """A bulk whose writes the caller wants no word of. Raises what the driver refuses of such a bulk.

    An ordered one is acknowledged all the same, as by the driver, since it ends at the first error.
    """
    driver = _acknowledged(seat.driver) if ordered else seat.driver
    parts = bulk_parts(driver, requests, ordered, session=session, **options)
    _check([statement for part in parts for statement in part.statements], session, options)
    try:
        await run_bulk(seat.router, parts, ordered)
    except BulkWriteError:
        pass
    return BulkWriteResult({}, False)


def _acknowledged(driver: Driver) -> Driver:
    concern = WriteConcern()
    collection = driver.collection.with_options(write_concern=concern)
    return Driver(collection, driver.core.with_options(write_concern=concern))


def _check(statements: Sequence[Statement], session: Any, options: dict[str, Any]) -> None:
    if session is not None:
        raise ConfigurationError("Explicit sessions are incompatible with unacknowledged write concern.")
    if any("collation" in statement.wire for statement in statements if statement.kind != INSERT):
        raise ConfigurationError("Collation is unsupported for unacknowledged writes.")
    if any("arrayFilters" in statement.wire for statement in statements if statement.kind != INSERT):
        raise ConfigurationError("arrayFilters is unsupported for unacknowledged writes.")
    if options.get("bypass_document_validation"):
        raise OperationFailure("Cannot set bypass_document_validation with unacknowledged write concern")
