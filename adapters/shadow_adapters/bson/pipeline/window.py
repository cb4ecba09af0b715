"""``$setWindowFields``: what is computed over the neighbours of each document in its partition.

Windows are of documents, not of ranges of values. The results are computed one output at a time, for all documents of a
partition in their order; a window that only grows is accumulated as it does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

from shadow_adapters.bson.accumulators import ACCUMULATORS, Accumulator, Factory, compile_accumulator
from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.expression.node import literal
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.numbers import whole
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.pipeline.flow import Batch, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.pipeline.sort import SortKey, sort_key
from shadow_adapters.bson.projection.fields import ADD, Fields
from shadow_adapters.bson.projection.paths import Path, field_path
from shadow_adapters.failures import CommandFailure

_OPTIONS: Final = ("partitionBy", "sortBy", "output")
_RANKS: Final = ("$rank", "$denseRank", "$documentNumber")
_NOT_SERVED: Final = frozenset(
    (
        "$covariancePop",
        "$covarianceSamp",
        "$derivative",
        "$expMovingAvg",
        "$integral",
        "$linearFill",
        "$locf",
        "$minMaxScaler",
    )
)


@dataclass(frozen=True, slots=True)
class _Partition:
    """Documents in order, with what they are ordered by; and the variables of expressions."""

    documents: Sequence[Document]
    keys: Sequence[bytes]
    variables: Mapping[str, Any]


Compute = Callable[[_Partition], list[Any]]
"""From a partition to an output's value for each of its documents."""


def set_window_fields(name: str, spec: Any, scope: Scope) -> Stage:
    """``$setWindowFields``.

    Raises `CommandFailure`: 9, 14, 40414, 40415, 5339900, 5339901, 5371601 to 5371603, and with ``unsupported`` for
    windows of ranges and functions that are not served.
    """
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, f"the {name} stage specification must be an object")
    unknown = next((option for option in spec if option not in _OPTIONS), None)
    if unknown is not None:
        raise CommandFailure(40415, f"BSON field '{name}.{unknown}' is an unknown field.")
    if "output" not in spec:
        raise CommandFailure(40414, f"BSON field '{name}.output' is missing but a required field")
    output, sort = spec["output"], spec.get("sortBy")
    if not isinstance(output, Mapping) or not (sort is None or isinstance(sort, Mapping)):
        raise CommandFailure(14, f"'output' and 'sortBy' of {name} must be objects")
    by = compile_expression(spec["partitionBy"], scope.names) if "partitionBy" in spec else None
    outputs = [(field_path(path), _output(value, len(sort or {}), scope)) for path, value in output.items()]
    key = sort_key(sort) if sort else None
    return Stage(name, lambda context: _Window(by, key, outputs, context))


def _output(spec: Any, sorted_by: int, scope: Scope) -> Compute:
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, "the fields of 'output' must be objects")
    functions = [name for name in spec if name.startswith("$")]
    if len(functions) != 1 or any(name != "window" for name in spec if name not in functions):
        raise CommandFailure(9, "an output must have one window function, and may have a window")
    name = functions[0]
    if name in _RANKS:
        return _rank(name, spec, sorted_by)
    if name == "$shift":
        return _shift(spec, sorted_by, scope)
    if name in _NOT_SERVED:
        raise CommandFailure(115, f"window function {name} is not served", unsupported=f"window function {name}")
    if name not in ACCUMULATORS:
        raise CommandFailure(9, f"Unrecognized window function, {name}")
    make = compile_accumulator({name: spec[name]}, scope.names)
    low, high = _bounds(spec.get("window"), sorted_by)
    return lambda partition: _accumulated(make, low, high, partition)


def _bounds(window: Any, sorted_by: int) -> tuple[int | None, int | None]:
    """How far a window goes from its document; None for no bound."""
    if window is None:
        return None, None
    if not isinstance(window, Mapping):
        raise CommandFailure(9, "'window' field must be an object")
    if "range" in window:
        raise CommandFailure(115, "windows of ranges are not served", unsupported="window range")
    if any(name != "documents" for name in window):
        raise CommandFailure(9, "'window' field can only contain 'documents', or 'range' and 'unit'")
    bounds = window.get("documents", ["unbounded", "unbounded"])
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise CommandFailure(9, "Window bounds must be a 2-element array")
    low, high = (_bound(value) for value in bounds)
    if low is not None and high is not None and low > high:
        raise CommandFailure(5339900, f"Lower bound must not exceed upper bound: {low}, {high}")
    if (low is not None or high is not None) and not sorted_by:
        raise CommandFailure(5339901, "Document-based bounds require a sortBy")
    return low, high


def _bound(value: Any) -> int | None:
    if value == "unbounded":
        return None
    number = 0 if value == "current" else whole(value)
    if number is None:
        raise CommandFailure(9, "Numeric document-based bounds must be an integer")
    return number


def _accumulated(make: Factory, low: int | None, high: int | None, partition: _Partition) -> list[Any]:
    count = len(partition.documents)
    if low is None and high is None:
        return [_result(_filled(make, partition, 0, count))] * count
    if low is None and high is not None:
        return _growing(make, high, partition)
    found = []
    for at in range(count):
        end = count if high is None else max(0, min(at + high + 1, count))
        found.append(_result(_filled(make, partition, max(0, at + (low or 0)), end)))
    return found


def _growing(make: Factory, high: int, partition: _Partition) -> list[Any]:
    """Over windows that begin with the partition."""
    accumulator, end, found = make(), 0, []
    for at in range(len(partition.documents)):
        while end < len(partition.documents) and end <= at + high:
            accumulator.add(partition.documents[end], partition.variables)
            end += 1
        found.append(_result(accumulator))
    return found


def _filled(make: Factory, partition: _Partition, start: int, end: int) -> Accumulator:
    accumulator = make()
    for document in partition.documents[start:end]:
        accumulator.add(document, partition.variables)
    return accumulator


def _result(accumulator: Accumulator) -> Any:
    """The result so far, which what is added later does not change."""
    return copy(accumulator.result())


def _rank(name: str, spec: Mapping[str, Any], sorted_by: int) -> Compute:
    if spec[name] != {}:
        raise CommandFailure(5371603, f"{name} must be specified with '{{}}' as the value")
    if "window" in spec:
        raise CommandFailure(5371601, "Rank style window functions take no other arguments")
    if not sorted_by or (sorted_by > 1 and name != "$documentNumber"):
        raise CommandFailure(
            5371602, f"{name} must be specified with a top level sortBy expression with exactly one element"
        )
    return lambda partition: _ranks(name, partition.keys)


def _ranks(name: str, keys: Sequence[bytes]) -> list[Any]:
    found: list[Any] = []
    for at, key in enumerate(keys):
        if name == "$documentNumber" or not at:
            found.append(at + 1)
        elif key == keys[at - 1]:
            found.append(found[-1])
        else:
            found.append(at + 1 if name == "$rank" else found[-1] + 1)
    return found


def _shift(spec: Mapping[str, Any], sorted_by: int, scope: Scope) -> Compute:
    argument = spec["$shift"]
    if "window" in spec or not isinstance(argument, Mapping):
        raise CommandFailure(9, "$shift takes an object and no window")
    if any(name not in ("output", "by", "default") for name in argument):
        raise CommandFailure(9, "$shift got an unexpected argument")
    by = whole(argument.get("by"))
    if "output" not in argument or by is None:
        raise CommandFailure(9, "$shift requires 'output', and an integer as 'by'")
    if not sorted_by:
        raise CommandFailure(9, "$shift requires a sortBy")
    output = compile_expression(argument["output"], scope.names)
    default = compile_expression(argument.get("default"), scope.names)
    if not default.constant:
        raise CommandFailure(9, "'$shift:default' expression must yield a constant value")
    return lambda partition: _shifted(output, by, default.evaluate({}), partition)


def _shifted(output: Expression, by: int, default: Any, partition: _Partition) -> list[Any]:
    documents = partition.documents
    found = []
    for at in range(by, by + len(documents)):
        there = 0 <= at < len(documents)
        value = output.evaluate(documents[at], partition.variables) if there else default
        found.append(None if value is MISSING else value)
    return found


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
            for batch in slices(self._computed(held[start:end])):
                yield batch
            start = end

    def _computed(self, held: list[tuple[bytes, bytes, Document]]) -> list[Document]:
        documents = [document for _, _, document in held]
        partition = _Partition(documents, [key for _, key, _ in held], self._variables)
        values = [(path, compute(partition)) for path, compute in self._outputs]
        return [_with(document, [(path, found[at]) for path, found in values]) for at, document in enumerate(documents)]


def _with(document: Document, values: list[tuple[Path, Any]]) -> Document:
    """The document with the outputs, as ``$addFields`` sets them."""
    if all(len(path) == 1 for path, _ in values):
        return document | {path[0]: value for path, value in values}
    fields = Fields(ADD)
    for path, value in values:
        fields.add(path, literal(value))
    return fields.apply(document, {})
