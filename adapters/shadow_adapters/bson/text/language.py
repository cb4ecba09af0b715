"""A language of text search: how it parts a text into terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from snowballstemmer.danish_stemmer import DanishStemmer
from snowballstemmer.dutch_stemmer import DutchStemmer
from snowballstemmer.english_stemmer import EnglishStemmer
from snowballstemmer.italian_stemmer import ItalianStemmer
from snowballstemmer.portuguese_stemmer import PortugueseStemmer
from snowballstemmer.swedish_stemmer import SwedishStemmer

from shadow_adapters.bson.text.characters import bare, folded, words
from shadow_adapters.bson.text.stop_words import STOP_WORDS
from shadow_adapters.failures import CommandFailure

_STEMMERS: Final[dict[str, Callable[[], Any]]] = {
    "danish": DanishStemmer,
    "dutch": DutchStemmer,
    "english": EnglishStemmer,
    "italian": ItalianStemmer,
    "portuguese": PortugueseStemmer,
    "swedish": SwedishStemmer,
}
_ALIASES: Final = {
    "da": "danish",
    "nl": "dutch",
    "en": "english",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "es": "spanish",
    "sv": "swedish",
    "tr": "turkish",
}
_REMEMBERED: Final = 65_536  # words


@dataclass(frozen=True, slots=True)
class Language:
    """One of MongoDB's languages, by its name in English."""

    name: str

    def terms(
        self, text: str, *, stop_words: bool = False, case_sensitive: bool = False, diacritic_sensitive: bool = False
    ) -> Iterator[str]:
        """The terms of a text, in order, as MongoDB's ``UnicodeFTSTokenizer`` makes them.

        Args:
            stop_words: whether words that say nothing are among them.
            case_sensitive: whether they keep their capitals.
            diacritic_sensitive: whether they keep their marks.
        """
        how = self.name, stop_words, case_sensitive, diacritic_sensitive
        for word in words(text, english=self.name == "english"):
            term = _term(word, *how)
            if term is not None:
                yield term

    def folded(self, text: str) -> str:
        """The text in the language's lower case."""
        return folded(text, turkish=self.name == "turkish")


def language(name: str, *, code: int, mistake: str) -> Language:
    """The language of a name or a code of two letters, in any case.

    Args:
        code: MongoDB's error code where there is none.
        mistake: what is said then.

    Raises `CommandFailure`, with ``unsupported`` for a language that MongoDB knows and this store does not serve.
    """
    small = folded(name, turkish=False)
    whole = _ALIASES.get(small, small)
    if whole not in STOP_WORDS:
        unsupported = f"text language {whole}" if whole in _ALIASES.values() else None
        raise CommandFailure(code, f"{mistake}: {name}", unsupported=unsupported)
    return Language(whole)


@lru_cache(_REMEMBERED)
def _term(word: str, name: str, stop_words: bool, case_sensitive: bool, diacritic_sensitive: bool) -> str | None:
    """The term that a word makes; None for a stop word."""
    small = folded(word, turkish=name == "turkish")
    if not stop_words and small in STOP_WORDS[name]:
        return None
    term = word if case_sensitive else small
    if name in _STEMMERS:
        term = _STEMMERS[name]().stemWord(term)  # one of its own: a stemmer holds the word that it is at
    return term if diacritic_sensitive else bare(term)
