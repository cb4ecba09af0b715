"""Searching a text with a parsed pattern: by `re` where backtracking is surely cheap, else in linear time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

from shadow_adapters.bson.pcre.captures import Marks, Tracer
from shadow_adapters.bson.pcre.cost import anchored, cost
from shadow_adapters.bson.pcre.linear import Automaton
from shadow_adapters.bson.pcre.nodes import source
from shadow_adapters.bson.pcre.parse import Parsed, refuse

Search = Callable[[str], bool]
Find = Callable[[int], Marks | None]
"""From a position in a text to where the first match at or behind it, and each of its groups, begins and ends."""

_MAX_STEPS: Final = 200_000_000
"""Of backtracking, at worst, which is a second or two; nearly every text takes a small part of its worst."""


class _Pattern:
    """A pattern made ready both ways; ``longest``: the longest text on which `re` surely is cheap."""

    def __init__(self, pattern: str, options: str) -> None:
        self.parsed = Parsed(pattern, options)
        self.longest = _longest(self.parsed)
        try:
            self.search = re.compile(source(self.parsed.node), self.parsed.flags).search
        except (re.error, OverflowError):
            refuse("look-behind of varying width")
        self.automaton = cache(lambda: Automaton(self.parsed.node, self.parsed.flags))


_compiled = lru_cache(maxsize=512)(_Pattern)


def compile_search(pattern: str, options: str) -> Search:
    """A function that tells whether the pattern is found in a text.

    ``options``: letters of ``imsxu``. Raises `CommandFailure` 51091 for an invalid pattern, and with ``unsupported``
    for a feature that is not served; the function raises it for a text that is too long for the pattern.
    """
    compiled = _compiled(pattern, options)
    search, longest, automaton = compiled.search, compiled.longest, compiled.automaton
    if longest < 1:
        return automaton().found

    def found(text: str) -> bool:
        return search(text) is not None if len(text) <= longest else automaton().found(text)

    return found


def compile_find(pattern: str, options: str) -> Callable[[str], Find]:
    """A function that makes ready for finding one match after another in a text.

    Raises `CommandFailure` as `compile_search` does; so does what is made ready, all searches of a text together being
    bounded as a single one is: each begins where the one before ended.
    """
    compiled = _compiled(pattern, options)

    def ready(text: str) -> Find:
        if len(text) > compiled.longest or compiled.longest < 1:
            return Tracer(compiled.parsed, compiled.automaton(), text).find

        def find(start: int) -> Marks | None:
            match = compiled.search(text, start)
            if match is None:
                return None
            marks = [mark for span in match.regs for mark in span]
            return tuple([None if mark < 0 else mark for mark in marks])

        return find

    return ready


def _longest(parsed: Parsed) -> float:
    """The longest text on which `re` stays below the limit of steps; 0 where it never surely does."""
    worst = cost(parsed.node)
    steps = worst.paths * worst.size
    degree = worst.degree + (0 if anchored(parsed.node) and not parsed.multiline else 1)
    if degree == math.inf or steps > _MAX_STEPS:
        return 0.0
    return math.inf if degree == 0 else math.pow(_MAX_STEPS / max(steps, 1), 1 / degree)
