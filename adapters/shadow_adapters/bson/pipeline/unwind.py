"""``$unwind``: a document for each element of an array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bson.int64 import Int64

from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.pipeline.flow import Batch, Document, Each, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection.nested import get, put
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure


@dataclass(frozen=True, slots=True)
class Unwinding:
    """A ``$unwind``: the array's path, where each element's index goes, and whether what has no element stays."""

    path: Path
    index: Path | None = None
    preserve: bool = False

    def batch(self, batch: Batch) -> Batch:
        """The documents of all elements."""
        return [unwound for document in batch for unwound in self._unwind(document)]

    def _unwind(self, document: Document) -> Iterator[Document]:
        value = get(document, self.path)
        if isinstance(value, list) and value:
            for position, element in enumerate(value):
                yield self._indexed(put(document, self.path, element), Int64(position))
        elif value is MISSING or value is None or isinstance(value, list):
            if self.preserve:
                kept = put(document, self.path, MISSING) if isinstance(value, list) else document
                yield self._indexed(kept, None)
        else:
            yield self._indexed(document, None)

    def _indexed(self, document: Document, position: Int64 | None) -> Document:
        return document if self.index is None else put(document, self.index, position)


def unwind(name: str, spec: Any, scope: Scope) -> Stage:
    """``$unwind``. Raises `CommandFailure` 15981, 28808 to 28812, 28818, 28822."""
    change = _parse(spec)
    return Stage(name, lambda _: Each(change.batch))


def _parse(spec: Any) -> Unwinding:
    if isinstance(spec, str):
        return Unwinding(_path(spec))
    if as_document(spec) is None:
        raise CommandFailure(
            15981, f"expected either a string or an object as specification for $unwind stage, got {type_name(spec)}"
        )
    _check_options(spec)
    index = spec.get("includeArrayIndex")
    return Unwinding(
        _path(spec["path"]), field_path(index) if index else None, bool(spec.get("preserveNullAndEmptyArrays"))
    )


def _check_options(spec: Mapping[str, Any]) -> None:
    for option, value in spec.items():
        if option == "path":
            if not isinstance(value, str):
                raise CommandFailure(28808, f"expected a string as the path for $unwind stage, got {type_name(value)}")
        elif option == "preserveNullAndEmptyArrays":
            if not isinstance(value, bool):
                raise CommandFailure(
                    28809, f"expected a boolean for the preserveNullAndEmptyArrays option, got {type_name(value)}"
                )
        elif option == "includeArrayIndex":
            if not isinstance(value, str) or not value:
                raise CommandFailure(28810, "expected a non-empty string for the includeArrayIndex option")
            if value.startswith("$"):
                raise CommandFailure(
                    28822, "includeArrayIndex option to $unwind stage should not be prefixed with a '$'"
                )
        else:
            raise CommandFailure(28811, f"unrecognized option to $unwind stage: {option}")
    if "path" not in spec:
        raise CommandFailure(28812, "no path specified to $unwind stage")


def _path(text: str) -> Path:
    if not text:
        raise CommandFailure(28812, "no path specified to $unwind stage")
    if not text.startswith("$"):
        raise CommandFailure(28818, f"path option to $unwind stage should be prefixed with a '$': {text}")
    return field_path(text[1:])
