"""MongoDB's aggregation expressions: compile once, evaluate over many documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.compiler import Compiler
from shadow_adapters.bson.expression.fields import check_variable_name
from shadow_adapters.bson.expression.node import Expression
from shadow_adapters.bson.expression.table import OPERATORS
from shadow_adapters.bson.expression.values import truth
from shadow_adapters.bson.limits import check_depth
from shadow_adapters.failures import CommandFailure

__all__ = [
    "REDACT_VARIABLES",
    "Expression",
    "check_variable_name",
    "compile_expression",
    "compile_object",
    "compiler",
    "evaluate_let",
    "truth",
]

REDACT_VARIABLES: Final[Mapping[str, str]] = {"KEEP": "keep", "PRUNE": "prune", "DESCEND": "descend"}
"""The variables of ``$redact``: their names are in scope there, and these are their values."""


def compiler(names: Collection[str] = ()) -> Compiler:
    """The compiler of expressions that see these variables."""
    return Compiler(OPERATORS, frozenset(names))


def compile_expression(spec: Any, names: Collection[str] = ()) -> Expression:
    """Any expression.

    Args:
        names: the variables in scope beside the system's, without dollars.

    Raises `CommandFailure` as MongoDB does: 168 for an operator that it does not know (with ``unsupported`` for one
    that it does and this store does not), 17276 for a variable out of scope, 16020 for a wrong number of operands.
    """
    check_depth(spec)
    return compiler(names).compile(spec)


def compile_object(spec: Mapping[str, Any], names: Collection[str] = ()) -> Expression:
    """A document: one operator with its argument, or fields that are expressions. Raises `CommandFailure`."""
    check_depth(spec)
    return compiler(names).object(spec)


def evaluate_let(spec: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a command's ``let`` adds to those given, which are among the result.

    Its values are constants, or expressions of variables alone. Raises `CommandFailure`, 9 for a bad name.
    """
    if spec is None:
        return dict(variables)
    if not isinstance(spec, Mapping):
        raise CommandFailure(14, "BSON field 'let' is the wrong type, expected type 'object'")
    for name in spec:
        check_variable_name(name)
    values = {name: compile_expression(value, tuple(variables)).evaluate({}, variables) for name, value in spec.items()}
    return {**variables, **values}
