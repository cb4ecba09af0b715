r"""Unicode's general categories (``\p{L}``, ``\pN``, ``\P{Lu}``) as ranges of a character class of Python's `re`."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Final

_CASED: Final = frozenset(("Lu", "Ll", "Lt"))
_LETTERS_WITH_CASE: Final = ("L&", ("Lu", "Ll", "Lt"))


def is_cased(name: str) -> bool:
    """Whether the property tells upper from lower case, so that it must not be looked up without regard to case."""
    return name in _CASED or name == _LETTERS_WITH_CASE[0]


@cache
def ranges_of(name: str, *, negated: bool) -> str | None:
    """The characters that have the property (or have it not), escaped for the inside of a class.

    None for a property that is not a general category: scripts are not known to Python.
    """
    if name == "Any":
        return r"\x00-\U0010ffff" if not negated else None
    members = set(_LETTERS_WITH_CASE[1]) if name == _LETTERS_WITH_CASE[0] else _members(name)
    if not members:
        return None
    spans = [span for category, span in _spans() if (category in members) is not negated]
    return "".join(rf"\U{low:08x}-\U{high:08x}" for low, high in spans)


def _members(name: str) -> set[str]:
    known = {category for category, _ in _spans()}
    return {category for category in known if category == name or (len(name) == 1 and category[0] == name)}


@cache
def _spans() -> tuple[tuple[str, tuple[int, int]], ...]:
    """Every run of characters of one category: a pass over all of Unicode, made once, in about a tenth of a second."""

    def runs() -> Iterator[tuple[str, tuple[int, int]]]:
        points = range(sys.maxunicode + 1)
        for category, run in groupby(points, key=lambda point: unicodedata.category(chr(point))):
            members = list(run)
            yield category, (members[0], members[-1])

    return tuple(runs())
