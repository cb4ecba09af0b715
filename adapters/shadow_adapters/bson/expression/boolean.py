"""``$and $or $not``: by MongoDB's truth; what follows the decisive operand is not evaluated."""

from __future__ import annotations

from typing import Any, Final

from shadow_adapters.bson.expression.arguments import fixed
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.node import Expression, folded
from shadow_adapters.bson.expression.values import truth


def _and(name: str, argument: Any, compiler: Compiler) -> Expression:
    operands = compiler.operands(argument)
    runs = [operand.run for operand in operands]
    return folded(lambda scope: all(truth(run(scope)) for run in runs), constant=all(o.constant for o in operands))


def _or(name: str, argument: Any, compiler: Compiler) -> Expression:
    operands = compiler.operands(argument)
    runs = [operand.run for operand in operands]
    return folded(lambda scope: any(truth(run(scope)) for run in runs), constant=all(o.constant for o in operands))


BOOLEAN: Final[Operators] = {"$and": _and, "$or": _or, "$not": fixed(lambda value: not truth(value), 1)}
