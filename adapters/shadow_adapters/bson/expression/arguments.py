"""The two forms of an operator's argument: operands in an array, and parameters by name in a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shadow_adapters.bson.expression.node import Expression, applied
from shadow_adapters.failures import CommandFailure

if TYPE_CHECKING:
    from shadow_adapters.bson.expression.compiler import Compiler, Operator

Function = Callable[..., Any]


def fixed(function: Function, count: int) -> Operator:
    """The operator of a function that takes exactly so many operands."""

    def compile(name: str, argument: Any, compiler: Compiler) -> Expression:
        return applied(function, exactly(name, argument, compiler, count))

    return compile


def between(function: Function, least: int, most: int) -> Operator:
    """The operator of a function that takes a number of operands within bounds."""

    def compile(name: str, argument: Any, compiler: Compiler) -> Expression:
        operands = compiler.operands(argument)
        if not least <= len(operands) <= most:
            raise CommandFailure(
                28667,
                f"Expression {name} takes at least {least} arguments, and at most {most}, but {len(operands)} were "
                "passed in.",
            )
        return applied(function, operands)

    return compile


def variadic(function: Function) -> Operator:
    """The operator of a function that takes any number of operands."""
    return lambda name, argument, compiler: applied(function, compiler.operands(argument))


def exactly(name: str, argument: Any, compiler: Compiler, count: int) -> list[Expression]:
    """The operands of an operator that takes so many. Raises `CommandFailure` 16020 for another number."""
    operands = compiler.operands(argument)
    if len(operands) != count:
        raise CommandFailure(
            16020, f"Expression {name} takes exactly {count} arguments. {len(operands)} were passed in."
        )
    return operands


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of an operator, and the codes of MongoDB's errors.

    Attributes:
        required: parameters that must be there, with the code where one is missing.
        optional: those that may be.
        unknown: the code for any other.
        no_object: the code where the argument is no document.
    """

    required: Mapping[str, int]
    optional: tuple[str, ...]
    unknown: int
    no_object: int

    def read(self, name: str, argument: Any) -> Mapping[str, Any]:
        """The argument as a document with all that is required. Raises `CommandFailure`."""
        if not isinstance(argument, Mapping):
            raise CommandFailure(self.no_object, f"{name} only supports an object as its argument")
        for parameter in argument:
            if parameter not in self.required and parameter not in self.optional:
                raise CommandFailure(self.unknown, f"Unrecognized parameter to {name}: {parameter}")
        for parameter, code in self.required.items():
            if parameter not in argument:
                raise CommandFailure(code, f"Missing '{parameter}' parameter to {name}")
        return argument

    def compiled(self, name: str, argument: Any, compiler: Compiler) -> dict[str, Expression]:
        """Every parameter as an expression. Raises `CommandFailure`."""
        return {parameter: compiler.compile(spec) for parameter, spec in self.read(name, argument).items()}


def by_name(function: Function, parameters: Parameters) -> Operator:
    """The operator of a function of named parameters; the function has defaults for the optional ones."""

    def compile(name: str, argument: Any, compiler: Compiler) -> Expression:
        fields = parameters.compiled(name, argument, compiler)
        names = tuple(fields)

        def call(*values: Any) -> Any:
            return function(**{_argument(name): value for name, value in zip(names, values, strict=True)})

        return applied(call, list(fields.values()))

    return compile


def _argument(parameter: str) -> str:
    """Python's name of a parameter, which may be one of its keywords."""
    return f"{parameter}_" if parameter in ("in", "as", "if", "else") else parameter
