"""``db.command`` and ``db.cursor_command`` on a configured collection: the methods' operations in a command's form.

What is not such an operation runs on legacy, counted by its name on every collection in its reach.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any, Final

from shadow.facade.elsewhere import pass_through, reach_of_command
from shadow.facade.seat import Seat
from shadow.ops.base import Command, Reply
from shadow.ops.command import ALIASES, Called, wire_command, with_codec
from shadow.ops.command_alter import ALTERATIONS, AlterCommandOp
from shadow.ops.command_read import READS, ReadCommandOp
from shadow.ops.command_write import LISTS, FindAndModifyCommandOp, StatementsOp, add_reply, statements_of
from shadow.ops.pipelines import collections_read, writes

Method = Callable[..., Awaitable[Any]]

_SERVED: Final = READS | ALTERATIONS | LISTS.keys() | {"findAndModify"}
_CONTINUED: Final = frozenset(("getMore", "killCursors"))
"""Commands about a cursor, which stays on the store that opened it. New leaves none open."""
_OPTIONS: Final = ("check", "allowable_errors", "read_preference", "codec_options", "session", "max_await_time_ms")


async def run_command(
    database: Any,
    method: Method,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    cursor: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """What the driver's ``method`` comes to. Raises what the driver raises.

    Args:
        database: the façade's.
        method: the driver's ``command`` or ``cursor_command``.
        args: the caller's, as is ``kwargs``.
        cursor: makes the driver's cursor from a reply and a session, where ``method`` returns one.
    """
    given = signature(method).bind(*args, **kwargs).arguments
    document = _document(given)
    name = next(iter(document), "")
    session = given.get("session")
    directly = partial(method, *args, **kwargs)
    if name in _CONTINUED:
        return await directly()
    seat = _seat(database, _collection(name, document)) if _is_served(name, document) else None
    if seat is None:
        reach = reach_of_command(database.name, document)
        return await pass_through(database.client, reach, directly, session)
    options = {option: given[option] for option in _OPTIONS if option in given}

    async def on_legacy(written: Command | None) -> Any:
        return await (directly() if written is None else method(written, **options))

    called = Called(
        with_codec(seat.driver, given.get("codec_options")),
        wire_command(document, given.get("codec_options")),
        session,
        on_legacy,
        given.get("check", True),
        given.get("allowable_errors"),
        None if cursor is None else partial(cursor, session),
    )
    if called.name in ALTERATIONS:
        return await _alter(seat, called)
    if called.name in READS:
        return await _read(seat, called)
    return await _write(seat, called)


def _collection(name: str, document: Command) -> Any:
    """What the command names as its collection."""
    explained = document[name]
    return next(iter(explained.values()), None) if isinstance(explained, Mapping) else explained


def _is_served(name: str, document: Command) -> bool:
    """Whether one collection's router may run the command alone."""
    pipeline = document.get("pipeline")
    return ALIASES.get(name, name) in _SERVED and not writes(pipeline) and not collections_read(pipeline)


def _document(given: dict[str, Any]) -> dict[str, Any]:
    """The command that the driver will send."""
    command = given["command"]
    document: dict[str, Any] = {command: given.get("value", 1)} if isinstance(command, str) else dict(command)
    comment = given.get("comment")
    document |= given.get("kwargs", {})
    return document if comment is None else {**document, "comment": comment}


def _seat(database: Any, collection: Any) -> Seat | None:
    """The seat of a configured collection."""
    return getattr(database[collection], "_seat", None) if isinstance(collection, str) and collection else None


async def _read(seat: Seat, called: Called) -> Any:
    if seat.quiet(called.session):
        return await called.on_legacy(None)
    return await seat.routed_read(ReadCommandOp(called))


async def _alter(seat: Seat, called: Called) -> Any:
    begun = seat.begin(called.session)
    if begun is not None:
        return await seat.counted(begun, called.on_legacy(None))
    return await seat.altered(AlterCommandOp(called))


async def _write(seat: Seat, called: Called) -> Any:
    begun = seat.begin(called.session)
    if begun is not None:
        return await seat.counted(begun, called.on_legacy(None))
    try:
        if called.name == "findAndModify":
            return await seat.routed_write(FindAndModifyCommandOp(called))
        parts = statements_of(called)
    except ValueError:  # MongoDB has an answer to that too
        return await seat.router.other(called.name, True, partial(called.on_legacy, None))
    return await _in_parts(seat, called, parts)


async def _in_parts(seat: Seat, called: Called, parts: list[StatementsOp]) -> Any:
    if len(parts) == 1:
        return await seat.routed_write(parts[0])
    whole: Reply = {}
    for part in parts:
        told = await seat.routed_write(part)
        reply = called.wire(told)
        if not reply.get("ok"):
            return told
        whole = add_reply(whole, part.parts, reply)
        if whole.get("writeErrors") and called.document.get("ordered", True):
            break
    return called.told(whole)
