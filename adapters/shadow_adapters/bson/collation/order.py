"""The order of texts under a collation of a strength: Unicode's root collation, for the characters written down here.

A key has a part for each level: the letters, then their accents, then their cases, each lower than any letter's weight
at its end. Its characters are weights: text compares by code points as bytes of UTF-8 do. A text with a character that
is not here raises `CommandFailure`, by name: its place is not known.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from shadow_adapters.bson.collation.text import decomposed, not_told

_SIGNS: Final = "\t\n\v\f\r\x85 _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
_ALPHABETS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
)
_ACCENTS: Final = "\u0301\u0300\u0306\u0302\u030c\u030a\u0308\u030b\u0303\u0307\u0338\u0327\u0328\u0304"

_END: Final = "\x01"
_COMMON: Final = "\x02"
_UPPER: Final = "\x03"
_WEIGHTS: Final = {letter: chr(0x100 + place) for place, letter in enumerate(_SIGNS + "".join(_ALPHABETS))}
_ACCENT_WEIGHTS: Final = {accent: chr(0x10 + place) for place, accent in enumerate(_ACCENTS)}
_SHORT_I: Final = {"и\u0306": "й", "И\u0306": "Й"}
"""A letter of its own, which decomposes as if it were an accented one."""


@lru_cache(maxsize=4096)
def order_key(strength: int, text: str) -> str:
    """A text that is below, equal to or above another one's as the texts are. Equal keys are equal texts' only."""
    plain = decomposed(text)
    for apart, whole in _SHORT_I.items():
        plain = plain.replace(apart, whole)
    letters, accents, cases = [], [], []
    for letter in plain:
        if letter in _ACCENT_WEIGHTS:
            accents.append(_ACCENT_WEIGHTS[letter])
            cases.append(_COMMON)
            continue
        lower = letter.lower()
        if lower not in _WEIGHTS:
            not_told("order", letter)
        letters.append(_WEIGHTS[lower])
        accents.append(_COMMON)
        cases.append(_COMMON if lower == letter else _UPPER)
    return _END.join(map("".join, (letters, accents, cases)[:strength]))
