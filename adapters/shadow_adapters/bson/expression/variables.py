"""``$let $literal``, and ``$rand``, which no variable decides."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.fields import check_variable_name
from shadow_adapters.bson.expression.node import Expression, Scope, literal
from shadow_adapters.failures import CommandFailure

_LET: Final = Parameters({"vars": 16876, "in": 16877}, (), unknown=16875, no_object=16874)


def _let(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _LET.read(name, argument)
    bound = fields["vars"]
    if not isinstance(bound, Mapping):
        raise CommandFailure(10065, "invalid parameter: expected an object (vars)")
    for variable in bound:
        check_variable_name(variable)
    values = [(variable, compiler.compile(spec).run) for variable, spec in bound.items()]
    body = compiler.within(*bound).compile(fields["in"]).run

    def run(scope: Scope) -> Any:
        return body(scope | {variable: value(scope) for variable, value in values})

    return Expression(run)


def _rand(name: str, argument: Any, compiler: Compiler) -> Expression:
    if argument not in ({}, []):
        raise CommandFailure(3040501, "$rand does not currently accept arguments")
    return Expression(lambda _: random.random())


VARIABLES: Final[Operators] = {
    "$let": _let,
    "$literal": lambda _, argument, _compiler: literal(argument),
    "$const": lambda _, argument, _compiler: literal(argument),
    "$rand": _rand,
}
