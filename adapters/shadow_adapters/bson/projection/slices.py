"""``$slice`` in a projection of `find`: a part of an array, while the fields around it stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.numbers import INT32_LIMIT, clamped
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.projection.paths import Path
from shadow_adapters.bson.types import is_number, type_name
from shadow_adapters.failures import CommandFailure


@dataclass(frozen=True, slots=True)
class Slice:
    """So many elements, from the end where negative; with ``skip``, behind so many, counted from the end likewise."""

    limit: int
    skip: int | None = None

    def apply(self, document: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The document with the array at the path cut, in every document of an array on the way."""
        name, rest = path[0], path[1:]
        result = dict(document)
        if name in document:
            result[name] = self._below(document[name], rest)
        return result

    def _below(self, value: Any, rest: Path) -> Any:
        if isinstance(value, list):
            return [self._element(element, rest) for element in value] if rest else self._cut(value)
        inner = as_document(value)
        return self.apply(inner, rest) if rest and inner is not None else value

    def _element(self, element: Any, rest: Path) -> Any:
        inner = as_document(element)
        return element if inner is None else self.apply(inner, rest)

    def _cut(self, array: Sequence[Any]) -> list[Any]:
        if self.skip is None:
            return list(array[: self.limit] if self.limit >= 0 else array[self.limit :])
        start = self.skip if self.skip >= 0 else max(0, len(array) + self.skip)
        return list(array[start : start + self.limit])


def parse_slice(argument: Any) -> Slice:
    """``$slice``'s number, or its ``[skip, limit]``. Raises `CommandFailure` 31257 to 31259, 31272, 31273."""
    if is_number(argument):
        return Slice(clamped(argument, INT32_LIMIT))
    if not isinstance(argument, list | tuple):
        raise CommandFailure(31273, "$slice only supports numbers and [skip, limit] arrays")
    if len(argument) != 2:
        raise CommandFailure(31272, "$slice array argument should be of form [skip, limit]")
    for code, what, value in zip((31257, 31258), ("skip", "limit"), argument, strict=True):
        if not is_number(value):
            raise CommandFailure(code, f"$slice expects the {what} argument to be a number, got {type_name(value)}")
    skip, limit = (clamped(value, INT32_LIMIT) for value in argument)
    if limit <= 0:
        raise CommandFailure(31259, f"$slice limit must be positive, got {limit}")
    return Slice(limit, skip)
