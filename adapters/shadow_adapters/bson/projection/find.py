"""What `find` knows beside ``$project``: ``$slice`` and ``$elemMatch`` of arrays, and ``$`` in a path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bson.decimal128 import Decimal128

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.match.element import truthy
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.projection.elements import elem_match, has_clause_of
from shadow_adapters.bson.projection.parser import Parser
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.bson.projection.slices import Slice, parse_slice
from shadow_adapters.failures import CommandFailure


class FindParser(Parser):
    """Reads one specification of a `find`.

    Args:
        filter: the filter that finds the documents, which ``$`` refers to.
        collation: how ``$elemMatch`` compares texts.

    Attributes:
        slices: the arrays that are cut, by their paths.
        positional: the path of the array of which ``$`` keeps one element.
    """

    def __init__(self, names: Collection[str], filter: Mapping[str, Any], collation: Collation) -> None:
        super().__init__(names)
        self.slices: dict[Path, Slice] = {}
        self.positional: Path | None = None
        self._filter = filter
        self._collation = collation
        self._matching = False

    def _default(self) -> bool:
        """``$slice`` alone leaves the other fields, ``$elemMatch`` alone does not."""
        return super()._default() if self.slices or not self._matching else True

    def _operator(self, operator: str, spec: Mapping[str, Any], path: Path) -> None:
        if operator == "$elemMatch":
            self._elem_match(spec[operator], path)
        elif operator != "$slice" or not self._slice(spec[operator], path):
            super()._operator(operator, spec, path)

    def _slice(self, argument: Any, path: Path) -> bool:
        """Whether it is `find`'s ``$slice``, and not the expression of that name."""
        try:
            cut = parse_slice(argument)
        except CommandFailure:
            return False
        self._add(path, None)
        self.slices[path] = cut
        return True

    def _elem_match(self, condition: Any, path: Path) -> None:
        if self.positional is not None:
            raise CommandFailure(31255, "Cannot specify positional operator and $elemMatch.")
        if len(path) > 1:
            raise CommandFailure(31275, "Cannot use $elemMatch projection on a nested field.")
        self._add(path, elem_match(path[0], condition, self._collation))
        self._matching = True

    def _positional(self, name: str, value: Any, way: Path) -> None:
        if as_document(value) is not None:
            raise CommandFailure(31271, "positional projection cannot be used with an expression or sub object")
        if not isinstance(value, bool | int | float | Decimal128):
            raise CommandFailure(31308, "positional projection cannot be used with a literal")
        if not truthy(value):
            self._field(name, value, way)
            return
        path = self._checked(name, way)
        self._add(path, None)
        self.positional = path
        self._decide(name, True)

    def _checked(self, name: str, way: Path) -> Path:
        """The path before the operator."""
        if self.positional is not None:
            raise CommandFailure(31276, "Cannot specify more than one positional projection per query.")
        if self._matching:
            raise CommandFailure(31256, "Cannot specify positional operator and $elemMatch.")
        first = way[0] if way else name.partition(".")[0]
        if not has_clause_of(self._filter, first):
            raise CommandFailure(31277, f"Positional projection '{name}' does not match the query document.")
        if name.endswith(".$."):
            raise CommandFailure(31270, "Path cannot end with '.$.'")
        parts = name.split(".")
        if parts.count("$") > 1:
            raise CommandFailure(31287, f"Cannot use positional operator twice: {name}")
        return (*way, *field_path(".".join(parts[: parts.index("$")])))
