"""A compiled update: operators, a replacement or a pipeline, and the rule that all keep, that ``_id`` never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.expression.collated import compares
from shadow_adapters.bson.keys import TAG_ARRAY, TAG_REGEX, encode
from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.update.editor import Editor
from shadow_adapters.bson.update.effect import Occasion
from shadow_adapters.bson.update.operators import Change, compile_operators, ordered
from shadow_adapters.bson.update.positional import Filters, compile_array_filters, expanded, is_dynamic
from shadow_adapters.bson.update.transform import Transform, compile_transform
from shadow_adapters.failures import CommandFailure

Position = Callable[[Mapping[str, Any]], int | None]

_NO_VARIABLES: Final[Mapping[str, Any]] = {}
_BAD_ID_TAGS: Final = {TAG_ARRAY: "array", TAG_REGEX: "regex"}


def nowhere(_document: Mapping[str, Any]) -> None:
    """The position in a document that no filter has found."""


@dataclass(frozen=True, slots=True)
class Update:
    """What `check_update` makes: operators, or a ``replacement``, or a ``transform``, which is a pipeline's.

    ``changes`` are in the order of their application, unless ``dynamic``: then a document tells what their paths are.
    """

    changes: Sequence[Change] = ()
    filters: Filters = field(default_factory=dict)
    dynamic: bool = False
    replacement: Mapping[str, Any] | None = None
    transform: Transform | None = None

    @property
    def is_replacement(self) -> bool:
        return self.replacement is not None

    def apply(
        self, document: Mapping[str, Any], *, inserting: bool, now: DatetimeMS, position: Position = nowhere
    ) -> dict[str, Any]:
        """The document after the update. Raises `CommandFailure`; see `apply_update`."""
        if self.replacement is not None:
            result = _replaced(document, self.replacement)
        elif self.transform is not None:
            result = _replaced(document, self.transform(document))
        else:
            editor = Editor(document)
            occasion = Occasion(now, inserting)
            for path, effect in self._placed(document, position) if self.dynamic else self.changes:
                effect(editor, path, occasion)
            result = editor.document
        _check_id(document, result)
        return _id_first(result) if inserting else result

    def _placed(self, document: Mapping[str, Any], position: Position) -> Sequence[Change]:
        """The changes at the paths that theirs stand for in the document."""
        index = position(document)
        places = [
            (place, effect) for path, effect in self.changes for place in expanded(path, document, self.filters, index)
        ]
        return ordered(places, [place for place, _ in places])


def check_update(
    update: Mapping[str, Any] | Sequence[Any],
    array_filters: Any = (),
    variables: Mapping[str, Any] = _NO_VARIABLES,
    constants: Mapping[str, Any] | None = None,
    collation: Collation = SIMPLE,
) -> Update:
    """Compile an update; a document whose first name is no operator is a replacement, an array a pipeline.

    Args:
        array_filters: what the elements that ``$[identifier]`` stands for satisfy.
        variables: what a pipeline's expressions may use, by name.
        constants: more of them, of a statement's ``c``.
        collation: how texts compare where an operator compares.

    Raises `CommandFailure`: 9 for an unknown operator, 40 for conflicting paths, 52 for an operator in a replacement,
    72 for a stage that is not for updates, 51198 for constants without a pipeline, others for bad arguments.
    """
    filters = compile_array_filters(array_filters, collation)
    if not isinstance(update, Mapping):
        if not isinstance(update, list | tuple):
            raise CommandFailure(9, "Update argument must be either an object or an array")
        if filters:
            raise CommandFailure(9, "arrayFilters may not be specified for pipeline-style updates")
        if collation is not SIMPLE and compares(update):
            raise CommandFailure(
                2, "comparing in a pipeline under a collation is not served", unsupported="collation of a pipeline"
            )
        return Update(transform=compile_transform(update, {**variables, **(constants or {})}))
    if constants is not None:
        raise CommandFailure(51198, "Constant values may only be specified for pipeline updates")
    check_depth(update)
    if next(iter(update), "").startswith("$"):
        changes = compile_operators(update, filters, collation)
        return Update(changes, filters, any(is_dynamic(path) for path, _ in changes))
    for name in update:
        if name.startswith("$"):
            raise CommandFailure(52, f"The dollar ($) prefixed field '{name}' in '{name}' is not valid for storage.")
    return Update(replacement=update)


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
