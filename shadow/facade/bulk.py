"""``bulk_write`` through a router: part by part, since a filter is resolved when what stands before it is done."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import BulkWriteError
from pymongo.results import BulkWriteResult

from shadow.facade.contract import Router
from shadow.ops.bulk import add_part, empty_details, raise_errors
from shadow.ops.bulk_write import BulkWriteOp


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
