"""From a projection's specification to its tree of fields, read in MongoDB's order.

The first field that is kept, left out or computed decides whether it is an inclusion or an exclusion; whether ``_id``
is kept decides only where nothing else does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from bson.decimal128 import Decimal128

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.table import OPERATORS
from shadow_adapters.bson.match.element import truthy
from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.projection.fields import EXCLUDE, INCLUDE, Fields
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.failures import CommandFailure

_ID: Final = ("_id",)


class Parser:
    """Reads one specification, as ``$project`` knows it; `find` knows more.

    Args:
        names: the variables that its expressions may use.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._entries: list[tuple[Path, bool | Expression | None]] = []  # None: kept by an inclusion, else not named
        self._places = Fields(INCLUDE)
        self._including: bool | None = None

    def parse(self, spec: Mapping[str, Any]) -> Fields:
        """The tree of fields. Raises `CommandFailure`; see `compile_fields`."""
        self._document(spec, ())
        including = self._default() if self._including is None else self._including
        fields = Fields(INCLUDE if including else EXCLUDE)
        for path, what in self._entries:
            if isinstance(what, Expression):
                fields.add(path, what)
            elif (what is not False) if including else (what is False):
                fields.add(path, None)
        if including and not any(path[0] == "_id" for path, _ in self._entries):
            fields.add(_ID, None)
        return fields

    def _default(self) -> bool:
        """Whether it is an inclusion where no field but ``_id`` says so."""
        return any(path == _ID and what is True for path, what in self._entries)

    def _document(self, spec: Mapping[str, Any], way: Path) -> None:
        for name, value in spec.items():
            if name == "$" or name.endswith(".$") or ".$." in name:
                self._positional(name, value, way)
            else:
                self._field(name, value, way)

    def _positional(self, name: str, value: Any, way: Path) -> None:
        raise CommandFailure(31324, "Cannot use positional projection in aggregation projection")

    def _field(self, name: str, value: Any, way: Path) -> None:
        path = (*way, *field_path(name))
        inner = as_document(value)
        if inner is not None:
            self._inner(inner, path)
        elif isinstance(value, bool | int | float | Decimal128):
            self._add(path, truthy(value))
            if path != _ID:
                self._decide(name, truthy(value))
        else:
            self._add(path, compile_expression(value, self._names))
            self._compute(31310, f"Cannot use an expression {name} in an exclusion projection")

    def _inner(self, spec: Mapping[str, Any], path: Path) -> None:
        """A document: one operator, or a level of paths."""
        if not spec:
            raise CommandFailure(
                51270, f"An empty sub-projection is not a valid value. Found empty object at path {'.'.join(path)}"
            )
        operator = next(iter(spec))
        if len(spec) == 1 and operator.startswith("$"):
            self._operator(operator, spec, path)
        else:
            self._document(spec, path)

    def _operator(self, operator: str, spec: Mapping[str, Any], path: Path) -> None:
        expression = self._compiled(operator, spec)
        if operator == "$meta":  # which fields are kept is for others to say
            self._add(path, expression)
            return
        self._compute(31252, "Cannot use expression other than $meta in exclusion projection")
        self._add(path, expression)

    def _compiled(self, operator: str, spec: Mapping[str, Any]) -> Expression:
        if operator == "$elemMatch":
            raise CommandFailure(168, "Cannot use $elemMatch in this context")
        try:
            return compile_expression(spec, self._names)
        except CommandFailure as failure:
            if operator in OPERATORS or failure.unsupported:
                raise
            raise CommandFailure(31325, f"Unknown expression {operator}") from None

    def _compute(self, code: int, mistake: str) -> None:
        """Something is computed, which makes it an inclusion. Raises `CommandFailure` where it is an exclusion."""
        if self._including is False:
            raise CommandFailure(code, mistake)
        self._including = True

    def _decide(self, name: str, kept: bool) -> None:
        """A field is kept or not. Raises `CommandFailure` 31253 or 31254 where others are not, or are."""
        if self._including is not None and kept is not self._including:
            verb, kind = ("inclusion", "exclusion") if kept else ("exclusion", "inclusion")
            raise CommandFailure(31253 if kept else 31254, f"Cannot do {verb} on field {name} in {kind} projection")
        self._including = kept

    def _add(self, path: Path, what: bool | Expression | None) -> None:
        """Raises `CommandFailure` 31249 or 31250 where the path collides with another."""
        self._places.add(path, None)
        self._entries.append((path, what))
