"""``$cond $ifNull $switch``: only the branch that is taken is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters, exactly
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.node import Expression, Scope, folded
from shadow_adapters.bson.expression.values import nullish, truth
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_COND: Final = Parameters({"if": 17080, "then": 17081, "else": 17082}, (), unknown=17083, no_object=16020)
_SWITCH: Final = Parameters({"branches": 40068}, ("default",), unknown=40067, no_object=40060)
_BRANCH: Final = Parameters({"case": 40064, "then": 40065}, (), unknown=40063, no_object=40062)


def _cond(name: str, argument: Any, compiler: Compiler) -> Expression:
    if isinstance(argument, Mapping):
        parts = _COND.compiled(name, argument, compiler)
        operands = [parts[part] for part in ("if", "then", "else")]
    else:
        operands = exactly(name, argument, compiler, 3)
    condition, then, otherwise = [operand.run for operand in operands]
    return folded(
        lambda scope: then(scope) if truth(condition(scope)) else otherwise(scope),
        constant=all(operand.constant for operand in operands),
    )


def _if_null(name: str, argument: Any, compiler: Compiler) -> Expression:
    operands = compiler.operands(argument)
    if len(operands) < 2:
        raise CommandFailure(1257300, f"$ifNull needs at least two arguments, had: {len(operands)}")
    *runs, last = [operand.run for operand in operands]

    def run(scope: Scope) -> Any:
        for of_operand in runs:
            value = of_operand(scope)
            if not nullish(value):
                return value
        return last(scope)

    return folded(run, constant=all(operand.constant for operand in operands))


def _switch(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _SWITCH.read(name, argument)
    branches = fields["branches"]
    if not isinstance(branches, list | tuple):
        raise CommandFailure(40061, f"$switch expected an array for 'branches', found: {type_name(branches)}")
    if not branches:
        raise CommandFailure(40068, "$switch requires at least one branch.")
    compiled = [_BRANCH.compiled("$switch", branch, compiler) for branch in branches]
    pairs = [(branch["case"].run, branch["then"].run) for branch in compiled]
    default = compiler.compile(fields["default"]) if "default" in fields else None

    def run(scope: Scope) -> Any:
        for case, then in pairs:
            if truth(case(scope)):
                return then(scope)
        if default is None:
            raise CommandFailure(
                40066, "$switch could not find a matching branch for an input, and no default was specified."
            )
        return default.run(scope)

    parts = [part for branch in compiled for part in branch.values()] + ([default] if default else [])
    return folded(run, constant=all(part.constant for part in parts))


CONDITIONAL: Final[Operators] = {"$cond": _cond, "$ifNull": _if_null, "$switch": _switch}
