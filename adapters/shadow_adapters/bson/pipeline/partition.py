"""The documents that a window function sees, and the windows of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.accumulators import Accumulator, Factory
from shadow_adapters.bson.expression import Expression
from shadow_adapters.bson.pipeline.flow import Document


@dataclass(frozen=True, slots=True)
class Partition:
    """Documents in order, with what they are ordered by; and the variables of expressions."""

    documents: Sequence[Document]
    keys: Sequence[bytes]
    variables: Mapping[str, Any]

    def values(self, expression: Expression) -> list[Any]:
        """The value of an expression over each document."""
        return [expression.evaluate(document, self.variables) for document in self.documents]


Compute = Callable[[Partition], Iterable[Any]]
"""From a partition to an output's value for each of its documents, one after another."""

Window = tuple[int, int]
"""The positions where a window begins and ends, the end not being in it."""

Windows = Callable[[Partition], Sequence[Window]]
"""From a partition to the window of each of its documents."""


def accumulated(make: Factory, windows: Windows) -> Compute:
    """What is gathered from each window; one that only grows is gathered as it does."""

    def compute(partition: Partition) -> Iterator[Any]:
        found: Any = None
        accumulator: Accumulator | None = None
        start = end = 0
        for first, last in windows(partition):
            if accumulator is None or (first, last) != (start, end):
                if accumulator is None or first != start or last < end:
                    accumulator, start, end = make(), first, first
                for document in partition.documents[end:last]:
                    accumulator.add(document, partition.variables)
                end = last
                found = copy(accumulator.result())  # what is added later does not change it
            yield found

    return compute
