"""Aggregations: a command cursor of the driver's own, over the store whose turn it is.

Where legacy answers and nothing is compared, the application gets just what the driver gives. Otherwise a `Delivery`
hangs on the driver's cursor, and gives it its batches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from shadow.facade.delivery import NEW_CURSOR_ID, Delivery
from shadow.facade.into import write_result
from shadow.facade.seat import Seat
from shadow.ops.aggregate import AggregateOp
from shadow.ops.pipelines import collections_read, writes
from shadow.ops.replies import driver_error
from shadow_adapters.failures import CommandFailure

_REFUSED: Final = frozenset(("explain", "aggregate", "pipeline"))
"""Options that the driver takes for a mistake, in its own words."""

Legacy = Callable[[], Awaitable[Any]]


async def aggregate(
    collection: Any,
    legacy: Legacy,
    cursor: type[Any],
    /,  # the driver has an option named cursor
    pipeline: Any,
    session: Any = None,
    let: Any = None,
    comment: Any = None,
    **options: Any,
) -> Any:
    """PyMongo's command cursor of an aggregation. Raises what the driver raises.

    Args:
        collection: the façade's.
        legacy: the driver's own way to its cursor.
        cursor: the façade's class of it.
        pipeline: this and all that follows as in the driver's ``aggregate``.
    """
    seat = collection._seat
    refused = bool(options.keys() & _REFUSED)
    options |= {name: value for name, value in {"let": let, "comment": comment}.items() if value is not None}
    if writes(pipeline) and not refused:
        given = await write_result(collection, legacy, pipeline, session, options)
        return _ended(cursor, seat, comment) if given is None else given
    if refused or (not collections_read(pipeline) and seat.quiet(session)):
        return await legacy()
    op = AggregateOp(seat.driver, pipeline, session=session, **options)
    try:
        opened = await seat.router.open(op)
    except CommandFailure as failure:
        raise driver_error(failure) from None
    if opened.cursor is not None:
        core = _empty(cursor, op)
    elif opened.observe is None:
        return await legacy()
    else:
        core = _taken_over(cursor, await legacy())
    core._delivery = Delivery(core, op, opened)
    await core._delivery.begun()
    return core


def _ended(cursor: type[Any], seat: Seat, comment: Any) -> Any:
    """The command cursor of an aggregation that has written its result: it has no documents."""
    return cursor(seat.driver.core, {"id": 0, "firstBatch": []}, None, comment=comment)


def _empty(cursor: type[Any], op: AggregateOp) -> Any:
    """A command cursor without documents, ready to be given some."""
    core = cursor(op.driver.core, {"id": 0, "firstBatch": []}, None, op.batch_size)
    core._killed = False
    core._comment = op.options.get("comment")
    if op.session is not None:  # the caller's, which no cursor may end
        core._session, core._explicit_session = op.session, True
    return core


def _taken_over(cursor: type[Any], given: Any) -> Any:
    """The façade's cursor in the state of the driver's, which is left with nothing to end."""
    core: Any = object.__new__(cursor)
    core.__dict__.update(given.__dict__)
    given._id, given._killed, given._session, given._sock_mgr = 0, True, None, None
    return core


class Delivered:
    """What a façade's command cursor has beside the driver's: a `Delivery`, where it is not the driver's alone."""

    _id: int | None
    _data: Any
    _killed: bool
    _delivery: Delivery | None = None

    @property
    def cursor_id(self) -> int | None:
        """The driver's own; what is open on new has another."""
        open_on_new = self._delivery is not None and self._delivery.open_on_new
        return NEW_CURSOR_ID if open_on_new else self._id

    @property
    def _waiting(self) -> Delivery | None:
        """The delivery, if it is asked for the next batch."""
        return None if len(self._data) or self._killed else self._delivery
