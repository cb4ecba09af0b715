"""A compiled update: operators or a replacement, and the rule that both keep, that ``_id`` never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.keys import TAG_ARRAY, TAG_REGEX, encode
from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.update.editor import Editor
from shadow_adapters.bson.update.effect import Effect, Occasion
from shadow_adapters.bson.update.operators import compile_operators
from shadow_adapters.failures import CommandFailure

_BAD_ID_TAGS = {TAG_ARRAY: "array", TAG_REGEX: "regex"}


@dataclass(frozen=True, slots=True)
class Update:
    """What `check_update` makes. ``replacement`` is the new document, None where there are operators."""

    effects: tuple[Effect, ...]
    replacement: Mapping[str, Any] | None = None

    @property
    def is_replacement(self) -> bool:
        return self.replacement is not None

    def apply(self, document: Mapping[str, Any], *, inserting: bool, now: DatetimeMS) -> dict[str, Any]:
        """The document after the update. Raises `CommandFailure`; see `apply_update`."""
        if self.replacement is not None:
            result = _replaced(document, self.replacement)
        else:
            editor = Editor(document)
            occasion = Occasion(now, inserting)
            for effect in self.effects:
                effect(editor, occasion)
            result = editor.document
        _check_id(document, result)
        return _id_first(result) if inserting else result


def check_update(update: Mapping[str, Any] | Sequence[Any]) -> Update:
    """Compile an update; a document whose first name is no operator is a replacement.

    Raises `CommandFailure`: 9 for an unknown operator and, by name, for a pipeline, 40 for conflicting paths, 52 for
    an operator in a replacement, others for bad arguments.
    """
    if not isinstance(update, Mapping):
        raise CommandFailure(9, "pipeline-style updates are not served", unsupported="update pipeline")
    check_depth(update)
    if next(iter(update), "").startswith("$"):
        return Update(tuple(compile_operators(update)))
    for name in update:
        if name.startswith("$"):
            raise CommandFailure(52, f"The dollar ($) prefixed field '{name}' in '{name}' is not valid for storage.")
    return Update((), update)


def _replaced(document: Mapping[str, Any], replacement: Mapping[str, Any]) -> dict[str, Any]:
    """The replacement with the document's ``_id``, first, unless it brings an equal one."""
    if "_id" in replacement:
        return _id_first(dict(replacement))
    return {"_id": document["_id"], **replacement} if "_id" in document else dict(replacement)


def _id_first(document: dict[str, Any]) -> dict[str, Any]:
    if "_id" not in document or next(iter(document)) == "_id":
        return document
    return {"_id": document["_id"], **{name: value for name, value in document.items() if name != "_id"}}


def _check_id(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises `CommandFailure` 66 where ``_id`` changed or went away, 53 where a new one is of a type that cannot be."""
    if "_id" in before:
        if "_id" in after and (after["_id"] is before["_id"] or encode(after["_id"]) == encode(before["_id"])):
            return
        raise CommandFailure(66, "Performing an update on the path '_id' would modify the immutable field '_id'")
    if "_id" in after:
        bad = _BAD_ID_TAGS.get(encode(after["_id"])[0])
        if bad is not None:
            raise CommandFailure(53, f"The '_id' value cannot be of type {bad}")
