"""The accumulators of the first few: ``$firstN $lastN $minN $maxN``, and ``$top $topN $bottom $bottomN`` by a sort."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from shadow_adapters.bson.accumulators.base import Factory, Maker
from shadow_adapters.bson.expression.arguments import Parameters
from shadow_adapters.bson.expression.compiler import Compiler
from shadow_adapters.bson.expression.limited import LIMITED, limit
from shadow_adapters.bson.expression.node import Expression, present
from shadow_adapters.bson.expression.values import key, nullish
from shadow_adapters.bson.keys import invert
from shadow_adapters.bson.order import compile_sort
from shadow_adapters.failures import CommandFailure

_ONE: Final = Parameters({"sortBy": 5788005, "output": 5788004}, (), unknown=5788002, no_object=5788001)
_MANY: Final = Parameters({"n": 5788003, "sortBy": 5788005, "output": 5788004}, (), unknown=5788002, no_object=5788001)

Rank = Callable[[Mapping[str, Any], Any], bytes | None]
"""From a document and the value of its expression to what it is ranked by; None where it is passed over."""


class _Best:
    """The values of the lowest ranks, the earlier of those that are equal first."""

    __slots__ = ("_best", "_limit", "_n", "_rank", "_seen", "_source")

    def __init__(self, n: Expression | None, source: Expression, rank: Rank) -> None:
        self._n = n
        self._source = source
        self._rank = rank
        self._limit = 1 if n is None else 0
        self._seen = 0
        self._best: list[tuple[bytes, int, Any]] = []

    def add(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        if not self._limit and self._n is not None:
            self._limit = limit(self._n.evaluate(document, variables))
        value = self._source.evaluate(document, variables)
        rank = self._rank(document, value)
        if rank is None or (len(self._best) == self._limit and rank >= self._best[-1][0]):
            return
        self._seen += 1
        insort(self._best, (rank, self._seen, present(value)))
        del self._best[self._limit :]

    def result(self) -> Any:
        values = [value for _, _, value in self._best]
        return values if self._n is not None else values[0] if values else None


class _Worst(_Best):
    """The values of the highest ranks, in the order of their ranks."""

    def add(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        if not self._limit and self._n is not None:
            self._limit = limit(self._n.evaluate(document, variables))
        value = self._source.evaluate(document, variables)
        rank = self._rank(document, value)
        if rank is None or (len(self._best) == self._limit and rank < self._best[0][0]):
            return
        self._seen += 1
        insort(self._best, (rank, self._seen, present(value)))
        del self._best[: -self._limit]


class _Ends:
    """The first or the last values, in the order of the documents."""

    __slots__ = ("_last", "_n", "_source", "_values")

    def __init__(self, n: Expression, source: Expression, *, last: bool) -> None:
        self._n = n
        self._source = source
        self._last = last
        self._values: deque[Any] | None = None

    def add(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        if self._values is None:
            self._values = deque(maxlen=limit(self._n.evaluate(document, variables)))
        if self._last or len(self._values) != self._values.maxlen:
            self._values.append(present(self._source.evaluate(document, variables)))

    def result(self) -> Any:
        return list(self._values or ())


def _ends(name: str, argument: Any, compiler: Compiler) -> Factory:
    fields = LIMITED.compiled(name, argument, compiler)
    return lambda: _Ends(_checked(fields["n"]), fields["input"], last=name == "$lastN")


def _checked(n: Expression) -> Expression:
    if n.constant:
        limit(n.evaluate({}))
    return n


def _extremes(name: str, argument: Any, compiler: Compiler) -> Factory:
    fields = LIMITED.compiled(name, argument, compiler)
    rank = _greatest if name == "$maxN" else _least
    return lambda: _Best(_checked(fields["n"]), fields["input"], rank)


def _least(_: Mapping[str, Any], value: Any) -> bytes | None:
    return None if nullish(value) else key(value)


def _greatest(_: Mapping[str, Any], value: Any) -> bytes | None:
    return None if nullish(value) else invert(key(value))


def _sorted(name: str, argument: Any, compiler: Compiler) -> Factory:
    several = name.endswith("N")
    fields = (_MANY if several else _ONE).read(name, argument)
    if not isinstance(fields["sortBy"], Mapping) or not fields["sortBy"]:
        raise CommandFailure(10065, "invalid parameter: expected an object (sortBy)")
    sort = compile_sort(fields["sortBy"])
    output = compiler.compile(fields["output"])
    n = _checked(compiler.compile(fields["n"])) if several else None
    kind = _Worst if name.startswith("$bottom") else _Best
    return lambda: kind(n, output, lambda document, _: sort(document))


RANKED: Final[Mapping[str, Maker]] = {
    "$firstN": _ends,
    "$lastN": _ends,
    "$minN": _extremes,
    "$maxN": _extremes,
    "$top": _sorted,
    "$topN": _sorted,
    "$bottom": _sorted,
    "$bottomN": _sorted,
}
