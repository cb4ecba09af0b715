"""What an operator compiles to: a test of a field, before it is known where the field is.

The same test is read in two ways: over a document, through a path that may reach many values (`over`), or on one value
(`on`), as ``$elemMatch`` tries an array's elements. Negation is of the whole, not of each value: ``$ne`` is true where
no value is equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.paths import Predicate, reader

DocumentPredicate = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Leaf:
    """True where one of the values at the path satisfies the predicate. A missing field is the value `MISSING`.

    ``into_arrays`` False: an array at the path is one value (``$size``), not also its elements.
    ``element``: what an element satisfies where the predicate is of the array (``$elemMatch``).
    """

    predicate: Predicate
    into_arrays: bool = True
    element: Predicate | None = None

    def over(self, path: str) -> DocumentPredicate:
        return reader(path, self.predicate, into_arrays=self.into_arrays)

    def on(self) -> Predicate:
        return self.predicate


@dataclass(frozen=True, slots=True)
class Not:
    """True where the test is not."""

    test: Test

    def over(self, path: str) -> DocumentPredicate:
        holds = self.test.over(path)
        return lambda document: not holds(document)

    def on(self) -> Predicate:
        holds = self.test.on()
        return lambda value: not holds(value)


@dataclass(frozen=True, slots=True)
class All:
    """True where every test is, each perhaps by another value."""

    tests: tuple[Test, ...]

    def over(self, path: str) -> DocumentPredicate:
        return every([test.over(path) for test in self.tests])

    def on(self) -> Predicate:
        return every([test.on() for test in self.tests])


Test = Leaf | Not | All


def every(predicates: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    """The conjunction of predicates; of none, true."""
    if len(predicates) == 1:
        return predicates[0]

    def holds(value: Any) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator in all() costs more than the predicates do
            if not predicate(value):
                return False
        return True

    return holds


NEVER = Leaf(lambda _: False)
"""The test that nothing passes."""
