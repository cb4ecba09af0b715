"""The accumulators of one expression: ``$sum $avg $min $max $first $last $push $addToSet $count`` and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.accumulators.base import Factory, Fed, Maker, fed
from shadow_adapters.bson.expression.compiler import Compiler
from shadow_adapters.bson.expression.node import literal, present
from shadow_adapters.bson.expression.ranks import read_ranks
from shadow_adapters.bson.expression.totals import Average, Deviation, Extreme, Sum
from shadow_adapters.bson.expression.values import key, kind_name, nullish
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.failures import CommandFailure


class _First:
    """The first value, null where the first document has none."""

    def __init__(self) -> None:
        self.taken = False
        self.value: Any = None

    def take(self, value: Any) -> None:
        if not self.taken:
            self.taken, self.value = True, present(value)

    def result(self) -> Any:
        return self.value


class _Last:
    """The last value, null where the last document has none."""

    def __init__(self) -> None:
        self.value: Any = None

    def take(self, value: Any) -> None:
        self.value = present(value)

    def result(self) -> Any:
        return self.value


class _Push:
    """All values, in the order of the documents; missing ones are left out."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def take(self, value: Any) -> None:
        if value is not MISSING:
            self.values.append(value)

    def result(self) -> Any:
        return self.values


class _AddToSet:
    """The values that differ, the first of those that are equal, in the order in which they came."""

    def __init__(self) -> None:
        self.values: dict[bytes, Any] = {}

    def take(self, value: Any) -> None:
        if value is not MISSING:
            self.values.setdefault(key(value), value)

    def result(self) -> Any:
        return list(self.values.values())


class _Merge:
    """One document of all fields, the later ones over the earlier."""

    def __init__(self) -> None:
        self.merged: dict[str, Any] = {}

    def take(self, value: Any) -> None:
        if nullish(value):
            return
        document = as_document(value)
        if document is None:
            raise CommandFailure(
                40400, f"$mergeObjects requires object inputs, but input is of type {kind_name(value)}"
            )
        self.merged.update(document)

    def result(self) -> Any:
        return self.merged


def _count(name: str, argument: Any, compiler: Compiler) -> Factory:
    if not isinstance(argument, Mapping) or argument:
        raise CommandFailure(9, "$count takes no arguments, i.e. $count:{}")
    return lambda: Fed(literal(1), Sum())


def _ranks(name: str, argument: Any, compiler: Compiler) -> Factory:
    source, state = read_ranks(name, argument, compiler)
    return lambda: Fed(source, state())


PLAIN: Final[Mapping[str, Maker]] = {
    "$sum": fed(Sum),
    "$avg": fed(Average),
    "$min": fed(lambda: Extreme(greatest=False)),
    "$max": fed(lambda: Extreme(greatest=True)),
    "$first": fed(_First),
    "$last": fed(_Last),
    "$push": fed(_Push),
    "$addToSet": fed(_AddToSet),
    "$mergeObjects": fed(_Merge),
    "$stdDevPop": fed(lambda: Deviation(sample=False)),
    "$stdDevSamp": fed(lambda: Deviation(sample=True)),
    "$count": _count,
    "$median": _ranks,
    "$percentile": _ranks,
}
