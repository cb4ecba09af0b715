"""Texts as a collation takes them: canonically decomposed, without what Unicode's collation ignores altogether."""

from __future__ import annotations

import unicodedata
from typing import Final, NoReturn

from shadow_adapters.failures import CommandFailure

_BREAKS: Final = "\t\n\v\f\r\x85"
"""Controls that are white space, and so count."""
_IGNORED_FORMATS: Final = frozenset("\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\ufeff")
_IGNORED_RANGES: Final = ((0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xE0001, 0xE01EF))
"""Directions, invisible operators, selectors of variants, tags."""


def decomposed(text: str) -> str:
    """The text in Unicode's normal form D, without the characters that no level of a collation sees."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([letter for letter in unicodedata.normalize("NFD", text) if not _ignored(letter)])


def _ignored(letter: str) -> bool:
    if letter in _IGNORED_FORMATS:
        return True
    if unicodedata.category(letter) == "Cc":
        return letter not in _BREAKS
    return any(low <= ord(letter) <= high for low, high in _IGNORED_RANGES)


def is_mark(letter: str) -> bool:
    """Whether a character is a mark of the letter before it, such as an accent."""
    return unicodedata.combining(letter) != 0 or unicodedata.category(letter) in ("Mn", "Me")


def not_told(what: str, letter: str) -> NoReturn:
    """Raises `CommandFailure`, by name, for a character of which a collation cannot tell something."""
    raise CommandFailure(
        2,
        f"the {what} of U+{ord(letter):04X} under a collation is not known here",
        unsupported=f"collation {what} of U+{ord(letter):04X}",
    )
