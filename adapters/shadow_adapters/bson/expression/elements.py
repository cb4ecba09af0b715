"""Operators that evaluate an expression for every element of an array: ``$map $filter $reduce``, and ``$zip``."""

from __future__ import annotations

from typing import Any, Final

from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.arrays import check_length
from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.fields import check_variable_name
from shadow_adapters.bson.expression.node import Expression, Scope, literal, present, spend
from shadow_adapters.bson.expression.values import array, int32, nullish, truth
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_MAP: Final = Parameters({"input": 16880, "in": 16882}, ("as",), unknown=16879, no_object=16878)
_FILTER: Final = Parameters({"input": 28648, "cond": 28650}, ("as", "limit"), unknown=28647, no_object=28646)
_REDUCE: Final = Parameters({"input": 40077, "initialValue": 40078, "in": 40079}, (), unknown=40076, no_object=40075)
_ZIP: Final = Parameters({"inputs": 34465}, ("useLongestLength", "defaults"), unknown=34464, no_object=34460)


def _variable(fields: Any) -> str:
    name = fields.get("as", "this")
    if not isinstance(name, str):
        raise CommandFailure(9, f"'as' must be a string, found: {type_name(name)}")
    check_variable_name(name)
    return name


def _map(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _MAP.read(name, argument)
    variable = _variable(fields)
    source = compiler.compile(fields["input"]).run
    body = compiler.within(variable).compile(fields["in"]).run

    def run(scope: Scope) -> Any:
        values = source(scope)
        if nullish(values):
            return None
        spend(scope, len(array(values, 16883, "input to $map must be an array")))
        inner = dict(scope)
        results = []
        for value in values:
            inner[variable] = value
            results.append(present(body(inner)))
        return results

    return Expression(run)


def _filter(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _FILTER.read(name, argument)
    variable = _variable(fields)
    source = compiler.compile(fields["input"]).run
    condition = compiler.within(variable).compile(fields["cond"]).run
    limit = compiler.compile(fields["limit"]) if "limit" in fields else literal(None)

    def run(scope: Scope) -> Any:
        values, most = source(scope), _limit(limit.run(scope))
        if nullish(values):
            return None
        spend(scope, len(array(values, 28651, "input to $filter must be an array")))
        inner = dict(scope)
        kept: list[Any] = []
        for value in values:
            inner[variable] = value
            if truth(condition(inner)):
                kept.append(value)
                if len(kept) == most:
                    break
        return kept

    return Expression(run)


def _limit(value: Any) -> int | None:
    if nullish(value):
        return None
    number = int32(value, 327391, "$filter: limit must be represented as a 32-bit integral value")
    if number < 1:
        raise CommandFailure(327392, f"$filter: limit must be greater than 0: {number}")
    return number


def _reduce(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _REDUCE.read(name, argument)
    source = compiler.compile(fields["input"]).run
    initial = compiler.compile(fields["initialValue"]).run
    body = compiler.within("this", "value").compile(fields["in"]).run

    def run(scope: Scope) -> Any:
        values = source(scope)
        if nullish(values):
            return None
        spend(scope, len(array(values, 40080, "$reduce requires that 'input' be an array")))
        inner = scope | {"value": initial(scope)}
        for value in values:
            inner["this"] = value
            inner["value"] = body(inner)
        return inner["value"]

    return Expression(run)


def _zip(name: str, argument: Any, compiler: Compiler) -> Expression:
    fields = _ZIP.read(name, argument)
    longest, defaults = fields.get("useLongestLength", False), fields.get("defaults")
    if not isinstance(fields["inputs"], list | tuple):
        raise CommandFailure(34461, f"inputs must be an array of expressions, found {type_name(fields['inputs'])}")
    if not fields["inputs"]:
        raise CommandFailure(34465, "$zip requires at least one input array")
    if not isinstance(longest, bool):
        raise CommandFailure(34463, f"useLongestLength must be a bool, found {type_name(longest)}")
    if defaults is not None and not isinstance(defaults, list | tuple):
        raise CommandFailure(34462, f"defaults must be an array of expressions, found {type_name(defaults)}")
    if defaults and not longest:
        raise CommandFailure(34466, "cannot specify defaults unless useLongestLength is true")
    if defaults and len(defaults) != len(fields["inputs"]):
        raise CommandFailure(34467, "defaults and inputs must have the same length")
    inputs = [compiler.compile(item).run for item in fields["inputs"]]
    fillers = [compiler.compile(item).run for item in defaults or [None] * len(inputs)]

    def run(scope: Scope) -> Any:
        arrays = [of_input(scope) for of_input in inputs]
        if any(map(nullish, arrays)):
            return None
        lengths = [len(array(values, 34468, "$zip found a non-array expression in input")) for values in arrays]
        rows = max(lengths) if longest else min(lengths)
        check_length(name, rows * len(arrays))
        spare = [present(filler(scope)) for filler in fillers]
        return [[v[row] if row < len(v) else spare[n] for n, v in enumerate(arrays)] for row in range(rows)]

    return Expression(run)


ELEMENTS: Final[Operators] = {"$map": _map, "$filter": _filter, "$reduce": _reduce, "$zip": _zip}
