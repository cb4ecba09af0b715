"""The order of texts under a collation: Unicode's root collation, for the characters written down here.

A key has a part for each level: the letters, then their accents, then their cases, each ended by what is lower than any
weight. Its characters are weights: text compares by code points as bytes of UTF-8 do. A text with a character that is
not here raises `CommandFailure`, by name: its place is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from shadow_adapters.bson.collation.levels import Levels
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
_DIGITS: Final = "0123456789"
_NUMBER: Final = re.compile(f"([{_DIGITS}]+)")
_MOST_DIGITS: Final = 254
"""Longer numbers compare piece by piece in Unicode's own implementation."""


@lru_cache(maxsize=4096)
def order_key(levels: Levels, text: str) -> str:
    """A text that is below, equal to or above another one's as the texts are. Equal keys are equal texts' only."""
    plain = decomposed(text)
    for apart, whole in _SHORT_I.items():
        plain = plain.replace(apart, whole)
    letters, accents, cases = [], [], []
    for element in _elements(plain, numbers=levels.numbers):
        if element in _ACCENT_WEIGHTS:
            accents.append(_ACCENT_WEIGHTS[element])
            continue
        letters.append(_number(element) if levels.numbers and element[0] in _DIGITS else _letter(element))
        accents.append(_COMMON)
        cases.append(_COMMON if element == element.lower() else _UPPER)
    parts = [letters, accents][: levels.strength] + ([cases] if levels.case or levels.strength == 3 else [])
    return _END.join(map("".join, parts))


def _elements(plain: str, *, numbers: bool) -> Iterator[str]:
    """The characters; digits that are beside each other as one element where they are a number."""
    for part in _NUMBER.split(plain) if numbers else (plain,):
        if numbers and part and part[0] in _DIGITS:
            yield part
        else:
            yield from part


def _letter(letter: str) -> str:
    weight = _WEIGHTS.get(letter.lower())
    if weight is None:
        not_told("order", letter)
    return weight


def _number(digits: str) -> str:
    """A number's weight: where digits are, the more of them the higher, then one by one."""
    value = digits.lstrip("0") or "0"
    if len(value) > _MOST_DIGITS:
        not_told("order", value[0])
    return _WEIGHTS["0"] + chr(0x100 + len(value)) + "".join([_WEIGHTS[digit] for digit in value])
