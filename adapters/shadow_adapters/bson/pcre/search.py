"""Searching a text with a parsed pattern, within a bounded number of steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from shadow_adapters.bson.pcre.cost import anchored, cost
from shadow_adapters.bson.pcre.nodes import source
from shadow_adapters.bson.pcre.parse import Parsed, refuse

Search = Callable[[str], bool]

_MAX_STEPS: Final = 50_000_000
"""Of backtracking, at worst; some tens of millions pass in a second."""


@lru_cache(maxsize=512)
def compile_search(pattern: str, options: str) -> Search:
    """A function that tells whether the pattern is found in a text.

    ``options``: letters of ``imsxu``. Raises `CommandFailure` 51091 for an invalid pattern, and with ``unsupported``
    for a feature that is not served; the function raises it for a text that is too long for the pattern.
    """
    parsed = Parsed(pattern, options)
    worst = cost(parsed.node)
    degree = worst.degree + (0 if anchored(parsed.node) and not parsed.multiline else 1)
    try:
        search = re.compile(source(parsed.node), parsed.flags).search
    except (re.error, OverflowError):
        refuse("look-behind of varying width")
    longest = _longest(degree, worst.factor)

    def found(text: str) -> bool:
        if len(text) > longest:
            refuse("several quantifiers over a long text")
        return search(text) is not None

    return found


def _longest(degree: int, factor: int) -> float:
    """The longest text for which the steps stay below the limit; a linear pattern has none."""
    return float("inf") if degree <= 1 else (_MAX_STEPS / factor) ** (1 / degree)
