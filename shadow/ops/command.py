"""A command that the caller wrote: what of it the driver knows, and its reply in the caller's form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import DEFAULT_CODEC_OPTIONS, CodecOptions, TypeRegistry
from pymongo.errors import InvalidOperation
from pymongo.helpers_shared import _check_command_response

from shadow.ops.base import Command, Reply
from shadow.ops.driver import Driver
from shadow.ops.replies import for_the_caller
from shadow_adapters.bson.codec import CODEC, encode

ALIASES = {"findandmodify": "findAndModify"}


@dataclass(frozen=True, slots=True)
class Called:
    """A call of ``db.command`` or ``db.cursor_command`` on a configured collection.

    Args:
        driver: the collection, with the call's codec options.
        document: the command in the wire's form.
        session: as the caller gave it.
        on_legacy: runs a command in the wire's form on the driver; None stands for the caller's own arguments.
        check: whether a reply that says ``ok: 0`` is raised.
        allowable_errors: codes and texts that are not raised all the same.
        cursor: makes the driver's cursor of a reply that has one; None where the caller gets the reply.
    """

    driver: Driver
    document: Command
    session: Any
    on_legacy: Callable[[Command | None], Awaitable[Any]]
    check: bool = True
    allowable_errors: Sequence[str | int] | None = None
    cursor: Callable[[Any], Any] | None = None

    @property
    def name(self) -> str:
        """The command's name as MongoDB spells it."""
        name = next(iter(self.document))
        return ALIASES.get(name, name)

    def told(self, reply: Reply) -> Any:
        """New's reply as the driver returns it. Raises `pymongo.errors.OperationFailure` as the driver does."""
        shown = for_the_caller(reply)
        if self.check:
            _check_command_response(shown, None, self.allowable_errors)
        # The driver knows no types of the caller's own in a reply
        native = bson.decode(encode(shown), self.driver.codec.with_options(type_registry=TypeRegistry()))
        if self.cursor is None:
            return native
        if not shown.get("cursor"):
            raise InvalidOperation("Command does not return a cursor.")
        return self.cursor(native)

    def wire(self, told: Any) -> Reply:
        """What the caller got, in the wire's form."""
        return self.driver.wire_document(told)


def with_codec(driver: Driver, options: CodecOptions[Any] | None) -> Driver:
    """The collection with the options that the driver uses for a command: the call's own, not the collection's."""
    codec = options or DEFAULT_CODEC_OPTIONS
    return Driver(driver.collection, driver.core.with_options(codec_options=codec))


def wire_command(document: Mapping[str, Any], options: CodecOptions[Any] | None) -> Command:
    """The command in the wire's form. Raises `bson.errors.InvalidDocument` as the driver would."""
    return bson.decode(bson.encode(document, codec_options=options or DEFAULT_CODEC_OPTIONS), CODEC)
