"""``$text``: which documents a search finds, and how well. It needs a text index, whose definition it goes by.

Source: MongoDB's ``FTSMatcher`` (what matches) and ``TextOrStage`` (the score is the sum of the terms' own).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.match.clauses import clauses, operators_of
from shadow_adapters.bson.text import Definition, compile_search
from shadow_adapters.bson.text.characters import bare
from shadow_adapters.bson.text.language import Language
from shadow_adapters.failures import CommandFailure

_BRANCHES = ("$and", "$or", "$nor")


class TextMatch:
    """A compiled ``$text`` under a text index. Raises `CommandFailure` as `compile_search` does.

    Attributes:
        terms: those of which a document has one at least, in order.
    """

    __slots__ = ("_definition", "_search", "terms")

    def __init__(self, argument: Any, definition: Definition) -> None:
        self._definition = definition
        self._search = compile_search(argument, definition.default)
        self.terms = self._search.terms

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Whether the search finds a document."""
        search = self._search
        if not self._definition.scores(document, self.terms):
            return False
        exact = search.case_sensitive or search.diacritic_sensitive
        if exact and not self._has_term(document, search.positive):
            return False
        if search.negative and self._has_term(document, search.negative):
            return False
        has = self._has_phrase
        return all(has(document, each) for each in search.phrases) and not any(
            has(document, each) for each in search.negated
        )

    def score(self, document: Mapping[str, Any]) -> float:
        """How well the search finds a document."""
        found = self._definition.scores(document, self.terms)
        total = 0.0
        for term in self.terms:
            total += found.get(term, 0.0)
        return total

    def _has_term(self, document: Mapping[str, Any], terms: frozenset[str]) -> bool:
        search = self._search
        return any(
            term in terms
            for text in self._definition.texts(document)
            for term in text.language.terms(
                text.text,
                stop_words=True,
                case_sensitive=search.case_sensitive,
                diacritic_sensitive=search.diacritic_sensitive,
            )
        )

    def _has_phrase(self, document: Mapping[str, Any], phrase: str) -> bool:
        return any(
            text.text and self._shown(phrase, text.language) in self._shown(text.text, text.language)
            for text in self._definition.texts(document)
        )

    def _shown(self, text: str, language: Language) -> str:
        search = self._search
        shown = text if search.case_sensitive and language.name != "turkish" else language.folded(text)
        return shown if search.diacritic_sensitive else bare(shown)


def uses_text(filter: Mapping[str, Any]) -> bool:
    """Whether a filter, which need not have been compiled, has a ``$text``."""
    if "$text" in filter:
        return True
    return any(
        isinstance(branch, Mapping) and uses_text(branch)
        for name in _BRANCHES
        if isinstance(branches := filter.get(name), list | tuple)
        for branch in branches
    )


def check_prefix(rest: Mapping[str, Any], definition: Definition) -> None:
    """Raises `CommandFailure` 291 where the index's key begins with fields of which a filter does not say the value.

    ``rest``: what the filter says beside its ``$text``.
    """
    equal = {path for path, condition in clauses(rest) if "$eq" in operators_of(condition)}
    if not equal.issuperset(definition.before):
        raise CommandFailure(
            291,
            "failed to use text index to satisfy $text query (are equality predicates given for all prefix fields?)",
        )


def split_text(filter: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The argument of a filter's ``$text``, which must hold beside all the rest, and the rest.

    The argument is None where there is no ``$text``. Raises `CommandFailure` 2 where there are several, or one stands
    under ``$nor``; and with ``unsupported`` where it stands under ``$or``.
    """
    if not uses_text(filter):
        return None, filter
    found: list[Any] = []
    rest = _without(filter, found)
    if len(found) > 1:
        raise CommandFailure(2, "Too many text expressions")
    return found[0], rest


def _without(filter: Mapping[str, Any], found: list[Any]) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for name, value in filter.items():
        if name == "$text":
            found.append(value)
            continue
        branches = value if name in _BRANCHES and isinstance(value, list | tuple) else ()
        if name == "$and" and branches:
            left = [_without(branch, found) if isinstance(branch, Mapping) else branch for branch in branches]
            if kept := [branch for branch in left if branch != {}]:
                rest[name] = kept
            continue
        if any(isinstance(branch, Mapping) and uses_text(branch) for branch in branches):
            if name == "$nor":
                raise CommandFailure(2, "text expression not allowed in nor")
            raise CommandFailure(2, "$text is not served under $or", unsupported="$text under $or")
        rest[name] = value
    return rest
