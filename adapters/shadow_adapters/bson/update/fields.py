"""``$set $setOnInsert $unset $rename $currentDate``: fields as wholes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.timestamp import Timestamp

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import Effect, Occasion, dotted
from shadow_adapters.failures import CommandFailure


def set_(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$set``: the value, wherever the field is now."""
    return lambda editor, path, _: editor.put(path, argument)


def set_on_insert(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$setOnInsert``: the value, where the update makes the document."""

    def effect(editor: Editor, path: Path, occasion: Occasion) -> None:
        if occasion.inserting:
            editor.put(path, argument)

    return effect


def unset(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$unset``: no field; null in an array."""
    return lambda editor, path, _: editor.remove(path)


def current_date(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$currentDate``: the occasion's time, as a date or a timestamp."""
    timestamp = _wants_timestamp(argument)

    def effect(editor: Editor, path: Path, occasion: Occasion) -> None:
        value = Timestamp(int(occasion.now) // 1000, 1) if timestamp else occasion.now
        editor.put(path, value)

    return effect


def _wants_timestamp(argument: Any) -> bool:
    if isinstance(argument, bool):
        return False
    if not isinstance(argument, Mapping):
        raise CommandFailure(
            2,
            f"{type_name(argument)} is not valid type for $currentDate. Please use a boolean ('true') "
            "or a $type expression ({$type: 'timestamp/date'}).",
        )
    unknown = next((name for name in argument if name != "$type"), None)
    if unknown is not None:
        raise CommandFailure(2, f"Unrecognized $currentDate option: {unknown}")
    if argument.get("$type") not in ("date", "timestamp"):
        raise CommandFailure(2, "The '$type' string field is required to be 'date' or 'timestamp'")
    return bool(argument["$type"] == "timestamp")


def rename(source: Path) -> Effect:
    """``$rename``: the source's value at the path instead; nothing where the source is missing.

    The effect raises `CommandFailure` 28 where the source leads through a value that has no fields, and 2 where one of
    the two is an element of an array.
    """

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        editor.check_traversable(source)
        value = editor.find(source)
        if value is MISSING:
            return
        if editor.through_array(source):
            raise CommandFailure(2, f"The source field cannot be an array element, '{dotted(source)}'")
        if editor.through_array(path):
            raise CommandFailure(2, f"The destination field cannot be an array element, '{dotted(path)}'")
        editor.put(path, value)
        editor.remove(source)

    return effect
