"""Which texts are equal under a collation.

Strength 3 tells everything apart but what is one text in Unicode's eyes. Strength 2 takes letters of both cases, and
characters that stand for others (ligatures, wide and raised letters), for the same. Strength 1 does not see accents.
A text with a letter for which that is not known to be all raises `CommandFailure`, by name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from shadow_adapters.bson.collation.levels import Levels
from shadow_adapters.bson.collation.text import decomposed, is_mark, not_told

_ACCENTS: Final = range(0x300, 0x370)
_SHORT_I: Final = "и\u0306"
"""A letter of its own, which decomposes as if it were an accented one."""
_EXPANDED: Final = {"æ": "ae", "œ": "oe"}
"""Letters that are two for strength 1, and differ from them by more than case."""
_NOUGHTS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")
_CASES: Final = "\x01"


@lru_cache(maxsize=4096)
def equality_key(levels: Levels, text: str) -> str:
    """A text that is the same for all texts equal to this one."""
    plain = _without_noughts(decomposed(text)) if levels.numbers else decomposed(text)
    if levels.strength == 3:
        return plain
    if plain.isascii() and not levels.case:
        return plain.lower()
    letters = "".join(map(_compatible, plain))
    pairs = [(folded, letter) for letter in letters for folded in _folded(letter)]
    for folded, _ in pairs:
        if _is_kana(folded):
            not_told("equality", folded)
    key = unicodedata.normalize("NFD", "".join([folded for folded, _ in pairs]))
    if levels.strength == 1:
        key = _without_accents(key)
    return key + _cases(pairs) if levels.case else key


def _cases(pairs: list[tuple[str, str]]) -> str:
    """Which of the letters were capitals, whose folded forms are given with them."""
    return _CASES + "".join(["1" if letter.isupper() else "0" for folded, letter in pairs if not is_mark(folded)])


def _without_noughts(plain: str) -> str:
    for letter in plain:
        if not letter.isascii() and letter.isdecimal():
            not_told("equality", letter)
    return _NOUGHTS.sub("", plain)


def _compatible(letter: str) -> str:
    """What a character stands for. One that is drawn as an accent on a space is a character of its own."""
    plain = unicodedata.normalize("NFKD", letter)
    return letter if plain.startswith(" ") and len(plain) > 1 else plain


def _folded(letter: str) -> str:
    return letter if is_mark(letter) else letter.casefold()


def _is_kana(letter: str) -> bool:
    """Hiragana and katakana, which differ as cases do, and in more."""
    return "\u3040" <= letter <= "\u30ff" or "\u31f0" <= letter <= "\u31ff"


def _without_accents(folded: str) -> str:
    kept = []
    for letter in folded.replace(_SHORT_I, "й"):
        if not is_mark(letter):
            kept.append(_EXPANDED.get(letter) or _base(letter))
        elif ord(letter) not in _ACCENTS:
            not_told("equality", letter)
    return "".join(kept)


def _base(letter: str) -> str:
    """A letter without accents. Some of those with strokes and hooks are accented ones to Unicode's collation."""
    if not letter.isascii() and letter.isalpha() and unicodedata.name(letter, "").startswith("LATIN"):
        not_told("equality", letter)
    return letter
