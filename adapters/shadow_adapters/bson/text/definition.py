"""What a text index covers, and how much each term of a document weighs in it.

Source: MongoDB's ``FTSElementIterator`` and ``FTSSpec::_scoreStringV2``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shadow_adapters.bson.paths import as_document
from shadow_adapters.bson.text.language import Language, language
from shadow_adapters.failures import CommandFailure

WILDCARD: Final = "$**"
_DEFAULT_WEIGHT: Final = 1.0
_BOOST: Final = 1.1
"""Of a term that is all of its text."""


class Text(NamedTuple):
    """A text of a document: what it says, in which language, with which weight."""

    text: str
    language: Language
    weight: float


@dataclass(frozen=True, slots=True)
class Definition:
    """A text index's specification.

    Attributes:
        paths: the fields that it covers, in order.
        weights: how much each of them weighs.
        wildcard: whether it covers all the others too.
        default: the language where a document names none.
        override: the field by which a document, or one inside it, names its own.
        before: the fields of the key that stand before the text.
    """

    paths: tuple[str, ...]
    weights: Mapping[str, float]
    wildcard: bool
    default: Language
    override: str
    before: tuple[str, ...]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Definition:
        """Of a specification in the form in which indexes are listed (`spec.completed`)."""
        weights = {path: float(weight) for path, weight in spec["weights"].items() if path != WILDCARD}
        keys = list(spec["key"])
        return cls(
            tuple(sorted(weights)),
            weights,
            WILDCARD in spec["weights"],
            language(spec["default_language"], code=67, mistake="default_language is not valid"),
            spec["language_override"],
            tuple(keys[: keys.index("_fts")]),
        )

    def depends_on(self, fields: Collection[str]) -> bool:
        """Whether setting these top-level fields may change a document's terms."""
        covered = (self.override, *self.paths, *self.before)
        return self.wildcard or any(path.partition(".")[0] in fields for path in covered)

    def texts(self, document: Mapping[str, Any]) -> Iterator[Text]:
        """The texts that the index covers, in the document's order.

        Raises `CommandFailure` 17261 and 17262 where the document names no language.
        """
        return self._of_document(document, self.default, "")

    def _of_document(self, document: Mapping[str, Any], outer: Language, path: str) -> Iterator[Text]:
        own = self._language(document, outer)
        for name, value in document.items():
            if not (self.wildcard and name == self.override):
                yield from self._of_value(value, own, f"{path}.{name}" if path else name, in_array=False)

    def _of_value(self, value: Any, own: Language, path: str, *, in_array: bool) -> Iterator[Text]:
        is_text, is_array = type(value) is str, isinstance(value, list)
        document = None if is_text or is_array else as_document(value)
        if not is_text and not is_array and document is None:
            return
        place = bisect_left(self.paths, path if document is None else f"{path}.")
        follower = self.paths[place] if place < len(self.paths) else None
        exact = follower == path
        if not self.wildcard and not (follower is not None and (exact or follower.startswith(f"{path}."))):
            return
        if is_text:
            if exact or self.wildcard:
                # Under a wildcard a field without a weight has that of the next one in order, as in MongoDB
                weight = _DEFAULT_WEIGHT if follower is None else self.weights[follower]
                yield Text(value.partition("\0")[0], own, weight)
        elif document is not None:
            yield from self._of_document(document, own, path)
        elif not in_array or self.wildcard:
            for element in value:
                yield from self._of_value(element, own, path, in_array=True)

    def _language(self, document: Mapping[str, Any], outer: Language) -> Language:
        if self.override not in document:
            return outer
        named = document[self.override]
        if type(named) is not str:
            raise CommandFailure(17261, "found language override field in document with non-string type")
        return language(named, code=17262, mistake="language override unsupported")

    def scores(self, document: Mapping[str, Any], wanted: Collection[str] | None = None) -> dict[str, float]:
        """How much each term (or each wanted one) of a document weighs.

        Raises `CommandFailure` as `texts` does.
        """
        found: dict[str, float] = {}
        for text in self.texts(document):
            total = 0
            counts: dict[str, int] = {}
            for term in text.language.terms(text.text):
                total += 1
                if wanted is None or term in wanted:
                    counts[term] = counts.get(term, 0) + 1
            for term, count in counts.items():
                frequency = sum(0.5**nth for nth in range(min(count, 64)))  # what follows is lost in a double
                share = 0.5 * count / total + 0.5
                boost = _BOOST if _is_all(term, text.text) else 1.0
                found[term] = found.get(term, 0.0) + text.weight * frequency * share * boost
        return found


def _is_all(term: str, text: str) -> bool:
    """Whether a term is the whole of its text but for the case of Latin letters."""
    left, right = term.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass")
    return len(left) == len(right) and left.lower() == right.lower()
