"""From an expression's document form to what runs it: literals, paths, variables, objects, arrays, and operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from bson.code import Code

from shadow_adapters.bson.expression.fields import check_field_name, field_path, variable_path
from shadow_adapters.bson.expression.node import Expression, folded, literal, present
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

Operator = Callable[[str, Any, "Compiler"], Expression]
"""Compiles an operator: its name, its argument, and the compiler for what is nested in it."""

Operators = Mapping[str, Operator]

SYSTEM_VARIABLES: Final = frozenset(("ROOT", "CURRENT", "NOW", "REMOVE", "CLUSTER_TIME", "USER_ROLES"))
_NOT_SERVED: Final = frozenset(
    (
        "$accumulator",
        "$createObjectId",
        "$encStrContains",
        "$function",
        "$searchMeta",
        "$toArray",
        "$toHashedIndexKey",
        "$toObject",
        "$toUUID",
    )
)
"""Operators that MongoDB has and this store does not."""


class Compiler:
    """Compiles expressions under the variables that are in scope."""

    __slots__ = ("names", "operators")

    def __init__(self, operators: Operators, names: frozenset[str]) -> None:
        self.operators = operators
        self.names = names

    def within(self, *names: str) -> Compiler:
        """The compiler for an expression that sees these variables too."""
        return Compiler(self.operators, self.names.union(names))

    def compile(self, spec: Any) -> Expression:
        """Any expression. Raises `CommandFailure`."""
        if isinstance(spec, str) and not isinstance(spec, Code):
            return self._string(spec)
        if isinstance(spec, Mapping):
            return self.object(spec)
        if isinstance(spec, list | tuple):
            return self._array([self.compile(item) for item in spec])
        return literal(spec)

    def _string(self, spec: str) -> Expression:
        if spec.startswith("$$"):
            return variable_path(spec[2:], self.names | SYSTEM_VARIABLES)
        return field_path(spec[1:]) if spec.startswith("$") else literal(spec)

    def _array(self, items: list[Expression]) -> Expression:
        runs = [item.run for item in items]
        constant = all(item.constant for item in items)
        return folded(lambda scope: [present(run(scope)) for run in runs], constant=constant)

    def object(self, spec: Mapping[str, Any]) -> Expression:
        """An operator with its argument, or a document whose fields are expressions. Raises `CommandFailure`."""
        first = next(iter(spec), "")
        if not first.startswith("$"):
            return self._document(spec)
        if len(spec) != 1:
            raise CommandFailure(15983, "An object representing an expression must have exactly one field")
        operator = self.operators.get(first)
        if operator is None:
            unsupported = first if first in _NOT_SERVED else None
            raise CommandFailure(168, f"Unrecognized expression '{first}'", unsupported=unsupported)
        return operator(first, spec[first], self)

    def _document(self, spec: Mapping[str, Any]) -> Expression:
        for name in spec:
            check_field_name(name)
        fields = {name: self.compile(value) for name, value in spec.items()}
        runs = [(name, field.run) for name, field in fields.items()]

        def run(scope: dict[str, Any]) -> dict[str, Any]:
            values = [(name, of_field(scope)) for name, of_field in runs]
            return {name: value for name, value in values if value is not MISSING}

        return folded(run, constant=all(field.constant for field in fields.values()))

    def operands(self, argument: Any) -> list[Expression]:
        """The operands of an operator: those of an array, or the argument alone."""
        if isinstance(argument, list | tuple):
            return [self.compile(item) for item in argument]
        return [self.compile(argument)]
