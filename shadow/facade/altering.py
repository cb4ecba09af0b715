"""What a façade does to a collection itself, beyond what a method's arguments say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import signature
from typing import Any, NamedTuple

from shadow.facade.seat import Seat, given
from shadow.ops.alter import CreateOp, DropOp, ExplainOp, ListIndexesOp
from shadow.ops.find import find_command

Legacy = Callable[[], Awaitable[Any]]


class Created(NamedTuple):
    """The arguments of a ``create_collection``, apart.

    ``shown``: the options under which the caller sees the collection. ``asked``: what is asked of the collection.
    """

    shown: dict[str, Any]
    session: Any
    check_exists: bool
    asked: dict[str, Any]


def created(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Created:
    """The arguments of the driver's ``create_collection``. Raises `TypeError` as it does."""
    given = dict(signature(method).bind(*args, **kwargs).arguments)
    shown = {option: given[option] for option in _SHOWN if option in given}
    return Created(shown, given.get("session"), given.get("check_exists") is not False, given.get("kwargs", {}))


_SHOWN = ("codec_options", "read_preference", "write_concern", "read_concern")


async def list_indexes(
    seat: Seat, legacy: Legacy, cursor: Callable[[Mapping[str, Any]], Any], session: Any, comment: Any
) -> Any:
    """PyMongo's command cursor of the indexes.

    Args:
        legacy: the driver's own way to it.
        cursor: makes it of a reply's cursor.
    """
    if seat.quiet(session):
        return await legacy()
    return await seat.altered(ListIndexesOp(seat.driver, legacy, cursor, session, **given(comment=comment)))


async def explain(seat: Seat, core: Any, legacy: Legacy) -> Any:
    """How the authority runs a cursor's query: new's document, or what ``legacy``, the driver's own way, comes to."""
    return await seat.altered(ExplainOp(seat.driver, core.session, find_command(seat.driver, core), legacy))


def show_explained(core: Any, told: Any) -> None:
    """Give a cursor that explains its query new's document to show; the driver's own way has filled it already."""
    if isinstance(told, Mapping):
        core._data.append(told)
        core._id, core._killed = 0, True


async def drop(seat: Seat, legacy: Legacy, session: Any) -> Any:
    """The reply of ``drop_collection``. ``legacy``: the driver's own."""
    begun = seat.begin(session)
    if begun is not None:
        return await seat.counted(begun, legacy())
    return await seat.altered(DropOp(seat.driver, legacy, session))


async def create(seat: Seat, legacy: Legacy, session: Any, check_exists: bool, options: dict[str, Any]) -> None:
    """Make the collection. Raises `pymongo.errors.CollectionInvalid` where it exists and that is asked.

    Args:
        legacy: the driver's own ``create_collection``.
        options: what is asked of the collection.
    """
    begun = seat.begin(session)
    if begun is not None:
        await seat.counted(begun, legacy())
    else:
        await seat.altered(CreateOp(seat.driver, legacy, session, check_exists, options))
