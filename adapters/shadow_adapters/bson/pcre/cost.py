"""How long backtracking can take at worst, as a polynomial in the length of the text.

A pattern without a choice is one path through its parts; an unbounded quantifier multiplies the paths by the length of
the text, a bounded one or an alternative by a constant. An unbounded quantifier over something that is itself ambiguous
makes them exponential: ``(a+)+``, ``(a|a)*``, ``(a?b)*``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from shadow_adapters.bson.pcre.nodes import Choice, Group, Here, Look, Node, One, Repeat, Sequence

_MOST_COPIES = 10
"""More repetitions than this of something ambiguous are not multiplied out."""


class Cost(NamedTuple):
    """At most ``paths`` × length ** ``degree`` paths of ``size`` steps each, from one starting position."""

    degree: float
    paths: int
    size: int

    @property
    def ambiguous(self) -> bool:
        return self.degree > 0 or self.paths > 1


def cost(node: Node) -> Cost:
    """The worst cost of one attempt; of infinite degree where it is exponential."""
    if isinstance(node, One | Here):
        return Cost(0, 1, 1)
    if isinstance(node, Look | Group):
        return cost(node.body)
    if isinstance(node, Sequence):
        return _in_a_row(map(cost, node.parts))
    if isinstance(node, Choice):
        return _one_of(node, [cost(branch) for branch in node.branches])
    return _repeated(node, cost(node.body))


def _in_a_row(costs: Iterable[Cost]) -> Cost:
    degree, paths, size = 0.0, 1, 0
    for each in costs:
        degree, paths, size = degree + each.degree, paths * each.paths, size + each.size
    return Cost(degree, paths, size)


def _one_of(node: Choice, costs: list[Cost]) -> Cost:
    paths = [each.paths for each in costs]
    return Cost(
        max(each.degree for each in costs),
        max(paths) if _distinct(node) else sum(paths),
        sum(each.size for each in costs),
    )


def _repeated(node: Repeat, inner: Cost) -> Cost:
    if node.most is None:
        return Cost(math.inf if inner.ambiguous else 1, 1, inner.size * (node.least + 1))
    if inner.ambiguous and node.most > _MOST_COPIES:
        return Cost(math.inf, 1, inner.size)
    paths = inner.paths**node.most * (node.most - node.least + 1)
    return Cost(inner.degree * node.most if node.most else 0, paths, inner.size * node.most)


def _distinct(node: Choice) -> bool:
    """Whether the first character already tells the branches apart (in any case of letters)."""
    firsts = [_first(branch) for branch in node.branches]
    folded = {first.casefold() for first in firsts if first is not None}
    return len(folded) == len(firsts)


def _first(node: Node) -> str | None:
    if isinstance(node, One):
        return node.literal
    if isinstance(node, Sequence) and node.parts:
        return _first(node.parts[0])
    if isinstance(node, Group):
        return _first(node.body)
    if isinstance(node, Repeat) and node.least > 0:
        return _first(node.body)
    return None


def anchored(node: Node) -> bool:
    """Whether a match can only begin at the start of the text (``^`` without the option m)."""
    if isinstance(node, Here):
        return node.source in ("^", r"\A")
    if isinstance(node, Sequence):
        return bool(node.parts) and anchored(node.parts[0])
    if isinstance(node, Group):
        return anchored(node.body)
    return isinstance(node, Choice) and all(map(anchored, node.branches))
