"""``$meta``: what a query knows of a document beside its fields; of that ``textScore``, how well ``$text`` found it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NoReturn

from shadow_adapters.bson.expression.compiler import Compiler, Operators
from shadow_adapters.bson.expression.node import Expression
from shadow_adapters.failures import CommandFailure

TEXT_SCORE: Final = "$meta.textScore"
"""The variable that is the function from a found document to its score. No path of a caller's leads to it."""

SCORE_BEHIND: Final = "$meta.textScore.behind"
"""In scope where MongoDB still knows the score and this store, which has another document by then, does not."""

_OTHERS: Final = frozenset(
    (
        "geoNearDistance",
        "geoNearPoint",
        "indexKey",
        "randVal",
        "recordId",
        "score",
        "scoreDetails",
        "searchHighlights",
        "searchRootDocumentId",
        "searchScore",
        "searchScoreDetails",
        "searchSequenceToken",
        "sortKey",
        "vectorSearchScore",
    )
)


def check_meta(argument: Any, names: Collection[str]) -> None:
    """Raises `CommandFailure`: 17307 or 17308 for what is no kind of ``$meta``, 40218 where no ``$text`` is in sight.

    With ``unsupported`` for a kind that is not served, and for a score behind a stage that makes other documents.
    """
    if not isinstance(argument, str):
        raise CommandFailure(17307, "$meta only supports string arguments")
    if argument in _OTHERS:
        raise CommandFailure(40218, f"$meta {argument} is not served", unsupported=f"$meta {argument}")
    if argument != "textScore":
        raise CommandFailure(17308, f"Unsupported argument to $meta: {argument}")
    if TEXT_SCORE not in names:
        _unavailable(SCORE_BEHIND in names)


def _unavailable(behind: bool) -> NoReturn:
    text = "query requires text score metadata, but it is not available"
    raise CommandFailure(40218, text, unsupported="$meta textScore behind a stage" if behind else None)


def _meta(_name: str, argument: Any, compiler: Compiler) -> Expression:
    check_meta(argument, compiler.names)
    return Expression(lambda scope: scope[TEXT_SCORE](scope["ROOT"]))


META: Final[Operators] = {"$meta": _meta}
