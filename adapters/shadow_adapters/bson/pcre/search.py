"""Searching a text with a parsed pattern: by `re` where backtracking is surely cheap, else in linear time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

from shadow_adapters.bson.pcre.cost import anchored, cost
from shadow_adapters.bson.pcre.linear import Automaton
from shadow_adapters.bson.pcre.nodes import source
from shadow_adapters.bson.pcre.parse import Parsed, refuse

Search = Callable[[str], bool]

_MAX_STEPS: Final = 200_000_000
"""Of backtracking, at worst, which is a second or two; nearly every text takes a small part of its worst."""


@lru_cache(maxsize=512)
def compile_search(pattern: str, options: str) -> Search:
    """A function that tells whether the pattern is found in a text.

    ``options``: letters of ``imsxu``. Raises `CommandFailure` 51091 for an invalid pattern, and with ``unsupported``
    for a feature that is not served; the function raises it for a text that is too long for the pattern.
    """
    parsed = Parsed(pattern, options)
    longest = _longest(parsed)
    try:
        search = re.compile(source(parsed.node), parsed.flags).search
    except (re.error, OverflowError):
        refuse("look-behind of varying width")
    automaton = cache(lambda: Automaton(parsed.node, parsed.flags))
    if longest < 1:
        return automaton().found

    def found(text: str) -> bool:
        return search(text) is not None if len(text) <= longest else automaton().found(text)

    return found


def _longest(parsed: Parsed) -> float:
    """The longest text on which `re` stays below the limit of steps; 0 where it never surely does."""
    worst = cost(parsed.node)
    steps = worst.paths * worst.size
    degree = worst.degree + (0 if anchored(parsed.node) and not parsed.multiline else 1)
    if degree == math.inf or steps > _MAX_STEPS:
        return 0.0
    return math.inf if degree == 0 else math.pow(_MAX_STEPS / max(steps, 1), 1 / degree)
