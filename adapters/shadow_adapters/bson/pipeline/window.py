"""``$setWindowFields``: what is computed over the neighbours of each document in its partition.

The results are computed for one document of a partition after another, in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from shadow_adapters.bson.accumulators import ACCUMULATORS, compile_accumulator
from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.node import literal
from shadow_adapters.bson.expression.spans import FIXED_UNITS, unit_of
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.bounds import read_windows, up_to_current
from shadow_adapters.bson.pipeline.flow import BATCH, Batch, Context, Document, Flow, Stage
from shadow_adapters.bson.pipeline.moving import covariance, integral, moving_average
from shadow_adapters.bson.pipeline.partition import Compute, Partition, accumulated
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.series import carry_forward, derivative, linear_fill, rank, shift
from shadow_adapters.bson.pipeline.sort import SortKey, sort_key
from shadow_adapters.bson.projection.fields import ADD, Fields
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.failures import CommandFailure

_FAILED_TO_PARSE: Final = 9
_OPTIONS: Final = ("partitionBy", "sortBy", "output")
_RANKS: Final = ("$rank", "$denseRank", "$documentNumber")
_RATES: Final = ("$derivative", "$integral")
_COVARIANCES: Final = ("$covariancePop", "$covarianceSamp")
_NOT_SERVED: Final = ("$minMaxScaler",)


def set_window_fields(name: str, spec: Any, scope: Scope) -> Stage:
    """``$setWindowFields``.

    Raises `CommandFailure`: 9, 14, 40414, 40415, what windows and functions raise, and with ``unsupported`` for
    functions that are not served.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(_FAILED_TO_PARSE, f"the {name} stage specification must be an object")
    unknown = next((option for option in spec if option not in _OPTIONS), None)
    if unknown is not None:
        raise CommandFailure(40415, f"BSON field '{name}.{unknown}' is an unknown field.")
    if "output" not in spec:
        raise CommandFailure(40414, f"BSON field '{name}.output' is missing but a required field")
    output, sort = spec["output"], spec.get("sortBy")
    if not isinstance(output, Mapping) or not (sort is None or isinstance(sort, Mapping)):
        raise CommandFailure(14, f"'output' and 'sortBy' of {name} must be objects")
    by = compile_expression(spec["partitionBy"], scope.names) if "partitionBy" in spec else None
    key = sort_key(sort) if sort else None
    outputs = [(field_path(path), _output(value, sort, scope)) for path, value in output.items()]
    return Stage(name, lambda context: _Window(by, key, outputs, context))


def _output(spec: Any, sort: Mapping[str, Any] | None, scope: Scope) -> Compute:
    if not isinstance(spec, Mapping):
        raise CommandFailure(_FAILED_TO_PARSE, "the fields of 'output' must be objects")
    functions = [name for name in spec if name.startswith("$")]
    if len(functions) != 1 or any(name != "window" for name in spec if name not in functions):
        raise CommandFailure(_FAILED_TO_PARSE, "an output must have one window function, and may have a window")
    name = functions[0]
    if name in _RANKS:
        return rank(name, spec, sort)
    if name == "$shift":
        return shift(spec, sort, scope)
    if name == "$locf":
        return carry_forward(spec, scope)
    if name == "$linearFill":
        return linear_fill(spec, sort, scope)
    if name in _RATES:
        return _rate(name, spec, sort, scope)
    if name == "$expMovingAvg":
        return _moving_average(spec, sort, scope)
    if name in _NOT_SERVED:
        raise CommandFailure(115, f"window function {name} is not served", unsupported=f"window function {name}")
    if name in _COVARIANCES:
        make = covariance(name, spec[name], scope)
    elif name in ACCUMULATORS:
        make = compile_accumulator({name: spec[name]}, scope.names)
    else:
        raise CommandFailure(_FAILED_TO_PARSE, f"Unrecognized window function, {name}")
    return accumulated(make, read_windows(spec.get("window"), sort))


def _moving_average(spec: Mapping[str, Any], sort: Mapping[str, Any] | None, scope: Scope) -> Compute:
    if "window" in spec:
        raise CommandFailure(_FAILED_TO_PARSE, "$expMovingAvg must have exactly one argument that is an object")
    make = moving_average(spec["$expMovingAvg"], scope)
    if not sort:
        raise CommandFailure(_FAILED_TO_PARSE, "$expMovingAvg requires an explicit 'sortBy'")
    return accumulated(make, up_to_current)


def _rate(name: str, spec: Mapping[str, Any], sort: Mapping[str, Any] | None, scope: Scope) -> Compute:
    """``$derivative`` and ``$integral``, of an ``input`` over what it is sorted by, in a ``unit`` of time."""
    if sort is None or len(sort) != 1:
        raise CommandFailure(_FAILED_TO_PARSE, f"{name} requires a non-compound sortBy")
    windows = read_windows(spec.get("window"), sort)
    argument = spec[name]
    if not isinstance(argument, Mapping):
        raise CommandFailure(_FAILED_TO_PARSE, f"{name} expects an object")
    if not {"input", "unit"}.issuperset(argument):
        raise CommandFailure(_FAILED_TO_PARSE, f"{name} got unexpected argument")
    unit = None
    if "unit" in argument:
        unit = FIXED_UNITS.get(unit_of(argument["unit"], _FAILED_TO_PARSE))
        if unit is None:
            raise CommandFailure(5490710, "unit must be 'week' or smaller")
    if "input" not in argument:
        raise CommandFailure(_FAILED_TO_PARSE, f"{name} requires an 'input' expression")
    path = next(iter(sort))
    if name == "$integral":
        return accumulated(integral(path, argument["input"], unit, scope), windows)
    if "window" not in spec:
        raise CommandFailure(_FAILED_TO_PARSE, "$derivative requires explicit window bounds")
    return derivative(path, argument["input"], unit, windows, scope)


class _Window(Flow):
    def __init__(
        self, by: Expression | None, key: SortKey | None, outputs: list[tuple[Path, Compute]], context: Context
    ) -> None:
        self._by = by
        self._key = key
        self._outputs = outputs
        self._variables = context.variables
        self._memory = context.memory("$setWindowFields")
        self._held: list[tuple[bytes, bytes, Document]] = []

    async def push(self, batch: Batch) -> Batch:
        self._memory.add(batch)
        self._held += [(self._partition(each), self._key(each) if self._key else b"", each) for each in batch]
        return []

    def _partition(self, document: Document) -> bytes:
        value = None if self._by is None else self._by.evaluate(document, self._variables)
        if isinstance(value, list):
            raise CommandFailure(14, "An expression used to partition cannot evaluate to value of type array")
        return encode(None if value is MISSING else value)

    async def end(self) -> AsyncGenerator[Batch]:
        held, self._held = sorted(self._held, key=lambda entry: entry[:2]), []
        start = 0
        while start < len(held):
            end = start
            while end < len(held) and held[end][0] == held[start][0]:
                end += 1
            computed = self._computed(held[start:end])
            while batch := list(islice(computed, BATCH)):
                yield batch
                await asyncio.sleep(0)  # wide windows take their time: others get their turn in between
            start = end

    def _computed(self, held: list[tuple[bytes, bytes, Document]]) -> Iterator[Document]:
        documents = [document for _, _, document in held]
        partition = Partition(documents, [key for _, key, _ in held], self._variables)
        paths = [path for path, _ in self._outputs]
        values = [compute(partition) for _, compute in self._outputs]
        for document, *found in zip(documents, *values, strict=True):
            yield _with(document, list(zip(paths, found, strict=True)))


def _with(document: Document, values: list[tuple[Path, Any]]) -> Document:
    """The document with the outputs, as ``$addFields`` sets them."""
    if all(len(path) == 1 for path, _ in values):
        return document | {path[0]: value for path, value in values}
    fields = Fields(ADD)
    for path, value in values:
        fields.add(path, literal(value))
    return fields.apply(document, {})
