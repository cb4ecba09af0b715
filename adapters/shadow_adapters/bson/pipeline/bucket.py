"""``$bucket``, ``$bucketAuto`` and ``$sortByCount``: groups by ranges, by equal numbers, and by frequency."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping
from itertools import pairwise
from typing import Any, Final

from shadow_adapters.bson.expression import Expression, compile_expression
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.numbers import INT64_LIMIT, as_double, clamped
from shadow_adapters.bson.order import compare
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.pipeline.flow import Batch, Chain, Context, Document, Flow, Stage, slices
from shadow_adapters.bson.pipeline.granularity import Granularity
from shadow_adapters.bson.pipeline.group import Groups, compile_outputs
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.types import is_number
from shadow_adapters.failures import CommandFailure

_COUNT: Final = {"count": {"$sum": 1}}
_BELOW_ALL: Final = b""
_INT32: Final = 1 << 31


def sort_by_count(name: str, spec: Any, scope: Scope) -> Stage:
    """``$sortByCount``: a ``$group`` that counts, the most frequent first. Raises `CommandFailure` 40147 to 40149."""
    if isinstance(spec, Mapping):
        if not next(iter(spec), "").startswith("$"):
            raise CommandFailure(40147, "the sortByCount field must be defined as an expression inside an object")
    elif not isinstance(spec, str):
        raise CommandFailure(40149, "the sortByCount field must be specified as a string or as an object")
    elif not spec.startswith("$"):
        raise CommandFailure(40148, "the sortByCount field must be specified as a $-prefixed path or an expression")
    grouping = [{"$group": {"_id": spec, **_COUNT}}, {"$sort": {"count": -1}}]
    pipeline = scope.pipeline(grouping, scope.inside)
    return Stage(name, lambda context: Chain(pipeline.start(context)))


def _grouped_by(name: str, spec: Mapping[str, Any], scope: Scope, code: int) -> Expression:
    by = spec["groupBy"]
    inner = as_document(by)
    operator = by if isinstance(by, str) else next(iter(inner), "") if inner is not None else ""
    if not operator.startswith("$"):
        raise CommandFailure(code, f"The {name} 'groupBy' field must be defined as a $-prefixed path or an expression")
    return compile_expression(by, scope.names)


def bucket(name: str, spec: Any, scope: Scope) -> Stage:
    """``$bucket``. Raises `CommandFailure` 40190 to 40202; a document in no bucket fails the run (40066)."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(40201, "Argument to $bucket stage must be an object")
    for option in spec:
        if option not in ("groupBy", "boundaries", "default", "output"):
            raise CommandFailure(40197, f"Unrecognized option to $bucket: {option}.")
    if "groupBy" not in spec or "boundaries" not in spec:
        raise CommandFailure(40198, "$bucket requires 'groupBy' and 'boundaries' to be specified.")
    by = _grouped_by(name, spec, scope, 40202)
    ranges = _Ranges(_boundaries(spec["boundaries"], scope), _default(spec, scope))
    outputs = _outputs(name, spec, scope, 40196)
    return Stage(name, lambda context: _Bucket(by, ranges, Groups(name, outputs, context), context))


def _outputs(name: str, spec: Mapping[str, Any], scope: Scope, code: int) -> dict[str, Any]:
    output = spec.get("output", _COUNT)
    if not isinstance(output, Mapping):
        raise CommandFailure(code, f"The {name} 'output' field must be an object")
    return compile_outputs(output, scope)


def _constant(value: Any, scope: Scope, code: int, what: str) -> Any:
    expression = compile_expression(value, scope.names)
    if not expression.constant:
        raise CommandFailure(code, f"{what} must be constant values")
    return expression.evaluate({}, {})


def _boundaries(spec: Any, scope: Scope) -> list[Any]:
    if not isinstance(spec, list | tuple):
        raise CommandFailure(40200, "The $bucket 'boundaries' field must be an array")
    values = [_constant(value, scope, 40191, "The $bucket 'boundaries' field") for value in spec]
    if len(values) < 2:
        raise CommandFailure(40192, "The $bucket 'boundaries' field must have at least 2 values")
    encoded = [encode(value) for value in values]
    if any(key[0] != encoded[0][0] for key in encoded):
        raise CommandFailure(40193, "All values in the 'boundaries' option to $bucket must have the same type")
    if any(low >= high for low, high in pairwise(encoded)):
        raise CommandFailure(40194, "The 'boundaries' option to $bucket must be sorted in ascending order")
    return values


def _default(spec: Mapping[str, Any], scope: Scope) -> Any:
    if "default" not in spec:
        return MISSING
    return _constant(spec["default"], scope, 40195, "The $bucket 'default' field")


class _Ranges:
    """Boundaries, each in its bucket from below, and where everything else goes."""

    def __init__(self, boundaries: list[Any], default: Any) -> None:
        self._values = boundaries
        self._keys = [encode(value) for value in boundaries]
        self._default = default
        inside = default is not MISSING and self._keys[0] <= encode(default) < self._keys[-1]
        if inside:
            raise CommandFailure(
                40199, "The $bucket 'default' field must be less than the lowest boundary or at least the highest"
            )

    def of(self, value: Any) -> Any:
        """The bucket of a value."""
        position = bisect_right(self._keys, _BELOW_ALL if value is MISSING else encode(value))
        if 0 < position < len(self._keys):
            return self._values[position - 1]
        if self._default is MISSING:
            raise CommandFailure(
                40066, "$switch could not find a matching branch for an input, and no default was specified."
            )
        return self._default


class _Bucket(Flow):
    def __init__(self, by: Expression, ranges: _Ranges, groups: Groups, context: Context) -> None:
        self._by = by
        self._ranges = ranges
        self._groups = groups
        self._variables = context.variables

    async def push(self, batch: Batch) -> Batch:
        for document in batch:
            self._groups.add(self._ranges.of(self._by.evaluate(document, self._variables)), document)
        self._groups.weigh(len(batch))
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        for batch in slices(sorted(self._groups.documents(), key=lambda document: encode(document["_id"]))):
            yield batch


def bucket_auto(name: str, spec: Any, scope: Scope) -> Stage:
    """``$bucketAuto``. Raises `CommandFailure` 40239 to 40246, and what `Granularity` raises."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(40240, "The argument to $bucketAuto must be an object")
    for option in spec:
        if option not in ("groupBy", "buckets", "output", "granularity"):
            raise CommandFailure(40245, f"Unrecognized option to $bucketAuto: {option}.")
    if "groupBy" not in spec or "buckets" not in spec:
        raise CommandFailure(40246, "$bucketAuto requires 'groupBy' and 'buckets' to be specified")
    if not is_number(spec["buckets"]):
        raise CommandFailure(40241, "The $bucketAuto 'buckets' field must be a numeric value")
    count = clamped(spec["buckets"], INT64_LIMIT)
    if compare(count, spec["buckets"]) or abs(count) >= _INT32:
        raise CommandFailure(40242, "The $bucketAuto 'buckets' field must be representable as a 32-bit integer")
    if count <= 0:
        raise CommandFailure(40243, "The $bucketAuto 'buckets' field must be greater than 0")
    by = _grouped_by(name, spec, scope, 40239)
    outputs = _outputs(name, spec, scope, 40244)
    granularity = Granularity(spec["granularity"]) if "granularity" in spec else None
    return Stage(name, lambda context: _BucketAuto(by, count, outputs, granularity, context))


class _BucketAuto(Flow):
    def __init__(
        self, by: Expression, count: int, outputs: Mapping[str, Any], granularity: Granularity | None, context: Context
    ) -> None:
        self._by = by
        self._count = count
        self._outputs = outputs
        self._granularity = granularity
        self._context = context
        self._memory = context.memory("$bucketAuto")
        self._held: list[tuple[bytes, Any, Document]] = []

    async def push(self, batch: Batch) -> Batch:
        self._memory.add(batch)
        for document in batch:
            value = self._by.evaluate(document, self._context.variables)
            if self._granularity is not None:
                self._granularity.check(value)
            value = None if value is MISSING else value
            self._held.append((encode(value), value, document))
        return []

    async def end(self) -> AsyncGenerator[Batch]:
        held = sorted(self._held, key=lambda entry: entry[0])
        size = max(1, int(len(held) / self._count + 0.5))
        found: Batch = []
        start = 0
        while start < len(held):
            last = len(found) == self._count - 1
            end = len(held) if last else min(start + size, len(held))
            if self._granularity is None:
                end, low, high = _exact(held, start, end)
            else:
                end, low, high = _rounded(held, start, end, self._granularity)
                low = found[-1]["_id"]["max"] if found else low
            found.append(self._bucket(held[start:end], low, high))
            start = end
        for batch in slices(found):
            yield batch

    def _bucket(self, entries: list[tuple[bytes, Any, Document]], low: Any, high: Any) -> Document:
        groups = Groups("$bucketAuto", self._outputs, self._context)
        for _, _, document in entries:
            groups.add(None, document)
        return groups.documents()[0] | {"_id": {"min": low, "max": high}}


def _exact(held: list[tuple[bytes, Any, Document]], start: int, end: int) -> tuple[int, Any, Any]:
    """Where a bucket ends that takes all values equal to its last, and its bounds."""
    while end < len(held) and held[end][0] == held[end - 1][0]:
        end += 1
    return end, held[start][1], held[min(end, len(held) - 1)][1]


def _rounded(
    held: list[tuple[bytes, Any, Document]], start: int, end: int, granularity: Granularity
) -> tuple[int, Any, Any]:
    """Where a bucket ends that takes all values below its rounded bound, and its bounds; the lower is a first one's.

    A bucket of nothing but zeros ends at the next value rounded down.
    """
    low, high = granularity.down(held[start][1]), granularity.up(held[end - 1][1])
    bound = encode(high)
    while end < len(held) and held[end][0] < bound:
        end += 1
    if not as_double(high) and end < len(held):
        high = granularity.down(held[end][1])
    return end, low, high
