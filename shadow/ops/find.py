"""``find``: the command of an unstarted driver's cursor. The cursor itself has validated what the caller asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pymongo.errors import InvalidOperation
from pymongo.message import _gen_find_command
from pymongo.read_concern import DEFAULT_READ_CONCERN

from shadow.ops.base import Command
from shadow.ops.cursor import CursorRead
from shadow.ops.driver import Driver
from shadow.ops.targets import fixed_id


def find_command(driver: Driver, cursor: Any) -> Command:
    """The ``find`` command that a PyMongo cursor would send first.

    Read concern and read preference are left out: they speak of legacy's replica set. Raises
    `pymongo.errors.InvalidOperation` as the driver does before it sends one.
    """
    if (cursor._min or cursor._max) and not cursor._hint:
        raise InvalidOperation(
            "Passing a 'hint' is required when using the min/max query option to ensure the query utilizes the "
            "correct index"
        )
    command: Command = driver.wire(
        _gen_find_command(
            driver.name,
            cursor._query_spec(),
            cursor._projection,
            cursor._skip,
            cursor._limit,
            cursor._batch_size,
            cursor._query_flags,
            DEFAULT_READ_CONCERN,
            cursor._collation,
            None,
            cursor._allow_disk_use,
        )
    )
    return command


def found_id(command: Command) -> Any | None:
    """The ``_id``, as `Named`, that a ``find`` command asks for; None when it may find others or none of it."""
    if any(option in command for option in ("skip", "min", "max")):
        return None
    return fixed_id(command["filter"], command.get("collation"))


class FindOp(CursorRead):
    """A query whose documents are delivered by a cursor.

    Args:
        cursor: PyMongo's cursor, not started.
        legacy_cursor: makes a fresh cursor of the driver's own for the same query.
    """

    name: ClassVar[str] = "find"

    def __init__(self, driver: Driver, session: Any, cursor: Any, legacy_cursor: Callable[[], Any]) -> None:
        super().__init__(driver, session)
        self.legacy_cursor = legacy_cursor
        self._command = find_command(driver, cursor)

    def command(self) -> Command:
        return self._command

    async def on_legacy(self) -> list[Any]:
        documents: list[Any] = await self.legacy_cursor().to_list(None)
        return documents

    def id(self) -> Any | None:
        return found_id(self._command)
