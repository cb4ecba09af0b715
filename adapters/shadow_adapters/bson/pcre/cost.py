"""How long backtracking can take at worst, as a polynomial in the length of the text.

A pattern without a choice is one step per position; an unbounded quantifier multiplies the steps by the length, a
bounded one or an alternative by a constant. An unbounded quantifier over something that is itself ambiguous is
exponential, and refused: ``(a+)+``, ``(a|a)*``, ``(a?b)*``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shadow_adapters.bson.pcre.nodes import Choice, Here, Look, Node, One, Repeat, Sequence
from shadow_adapters.bson.pcre.parse import refuse

_MAX_FACTOR = 10_000


class Cost(NamedTuple):
    """``factor`` × length ** ``degree`` steps from one starting position."""

    degree: int
    factor: int

    @property
    def ambiguous(self) -> bool:
        return self.degree > 0 or self.factor > 1


_ONE = Cost(0, 1)


def cost(node: Node) -> Cost:
    """The worst cost of one attempt. Raises `CommandFailure` for an exponential one."""
    result = _cost(node)
    if result.factor > _MAX_FACTOR:
        refuse("too many alternatives")
    return result


def _cost(node: Node) -> Cost:
    if isinstance(node, One | Here):
        return _ONE
    if isinstance(node, Look):
        return _cost(node.body)
    if isinstance(node, Sequence):
        return _all(map(_cost, node.parts))
    if isinstance(node, Choice):
        costs = [_cost(branch) for branch in node.branches]
        factors = [each.factor for each in costs]
        return Cost(max(each.degree for each in costs), max(factors) if _distinct(node) else sum(factors))
    return _repeated(node)


def _all(costs: Iterable[Cost]) -> Cost:
    degree, factor = 0, 1
    for each in costs:
        degree += each.degree
        factor *= each.factor
    return Cost(degree, factor)


def _repeated(node: Repeat) -> Cost:
    inner = _cost(node.body)
    if node.most is None:
        if inner.ambiguous:
            refuse("nested quantifiers")
        return Cost(1, 1)
    if inner.ambiguous and node.most > 10:
        refuse("nested quantifiers")
    return Cost(inner.degree * node.most, inner.factor**node.most * (node.most - node.least + 1))


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
    if isinstance(node, Repeat) and node.least > 0:
        return _first(node.body)
    return None


def anchored(node: Node) -> bool:
    """Whether a match can only begin at the start of the text (``^`` without the option m)."""
    if isinstance(node, Here):
        return node.source in ("^", r"\A")
    if isinstance(node, Sequence):
        return bool(node.parts) and anchored(node.parts[0])
    return isinstance(node, Choice) and all(map(anchored, node.branches))
