"""What a ``$text`` asks for: terms, negated terms and phrases.

Source: MongoDB's ``FTSQueryParser`` and ``FTSQueryImpl::parse``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shadow_adapters.bson.text.language import Language, language
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_OPTIONS: Final = ("$language", "$caseSensitive", "$diacriticSensitive")
_TOKENS: Final = re.compile('([\n\v\f\r ]*)([-"]|[^-"\n\v\f\r ]+)')
"""What is apart from others, and the blanks before it; a tab is none of them."""


@dataclass(frozen=True, slots=True)
class Search:
    """A compiled ``$text``.

    Attributes:
        terms: those that the index is asked for, of which a document has one at least, in order.
        positive: the same as they stand in a text, where letters or marks count.
        negative: terms that a document must not have.
        phrases, negated: parts of a text that a document must have, and must not have.
    """

    terms: tuple[str, ...]
    positive: frozenset[str]
    negative: frozenset[str]
    phrases: tuple[str, ...]
    negated: tuple[str, ...]
    case_sensitive: bool
    diacritic_sensitive: bool


def compile_search(argument: Any, default: Language) -> Search:
    """The search of a ``$text``, in its own language or the index's.

    Raises `CommandFailure`: 2, 4 or 14 for a mistake, 2 for a language that is none or is not served.
    """
    sought = _checked(argument)
    name = argument.get("$language")
    spoken = language(name, code=2, mistake="unsupported language") if name else default
    sensitive = {
        "case_sensitive": bool(argument.get("$caseSensitive")),
        "diacritic_sensitive": bool(argument.get("$diacriticSensitive")),
    }
    words, negated_words, phrases, negated = _parted(sought)
    return Search(
        tuple(sorted(set(spoken.terms(words)))),
        frozenset(spoken.terms(words, **sensitive)),
        frozenset(spoken.terms(negated_words, **sensitive)),
        tuple(phrases),
        tuple(negated),
        **sensitive,
    )


def _checked(argument: Any) -> str:
    if not isinstance(argument, Mapping):
        raise CommandFailure(2, "$text expects an object")
    if "$search" not in argument:
        raise CommandFailure(4, 'Missing expected field "$search"')
    for name, value in argument.items():
        if name != "$search" and name not in _OPTIONS:
            raise CommandFailure(2, "extra fields in $text")
        kind = bool if name.endswith("Sensitive") else str
        if type(value) is not kind:
            wanted = "bool" if kind is bool else "string"
            text = f'"{name}" had the wrong type. Expected {wanted}, found {type_name(value)}'
            raise CommandFailure(14, text)
    sought: str = argument["$search"]
    return sought


def _parted(sought: str) -> tuple[str, str, list[str], list[str]]:
    """Words, negated words, phrases and negated phrases.

    A minus negates from a blank to the next one; in a phrase it means nothing. A phrase's words are words as well.
    """
    words: list[str] = []
    negated_words: list[str] = []
    phrases: list[str] = []
    negated: list[str] = []
    negating = in_phrase = False
    start = 0
    for found in _TOKENS.finditer(sought):
        token, apart = found[2], bool(found[1]) or found.start() == 0
        if token == "-":
            negating = negating or (apart and not in_phrase)
        elif token == '"':
            if in_phrase:
                (negated if negating else phrases).append(sought[start : found.start(2)])
            else:
                negating = negating and not apart
                start = found.end()
            in_phrase = not in_phrase
        elif not (in_phrase and negating):
            negating = negating and not apart
            (negated_words if negating else words).append(token)
    return _sentence(words), _sentence(negated_words), phrases, negated


def _sentence(words: list[str]) -> str:
    return " ".join(words).partition("\0")[0]
