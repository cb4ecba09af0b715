"""``$expr``: an aggregation expression over the document, whose value is taken as true or false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.expression import compile_expression, truth
from shadow_adapters.bson.expression.collated import compares
from shadow_adapters.bson.match.test import DocumentPredicate
from shadow_adapters.failures import CommandFailure

_BRANCHES: Final = ("$and", "$or", "$nor")


def uses_expression(filter: Mapping[str, Any]) -> bool:
    """Whether a filter that has been compiled has a ``$expr``."""
    return _uses(filter, ("$expr",))


def repeatable(filter: Mapping[str, Any]) -> bool:
    """Whether a filter that has been compiled lets the same through each time: no variable and no chance decides."""
    return not _uses(filter, ("$expr", "$sampleRate"))


def _uses(filter: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    if any(name in filter for name in names):
        return True
    return any(_uses(branch, names) for name in _BRANCHES for branch in filter.get(name, ()))


def expression_holds(spec: Any, variables: Mapping[str, Any], collation: Collation) -> DocumentPredicate:
    """The predicate of an expression that sees the variables.

    Raises `CommandFailure`, with ``unsupported`` where it compares under a collation, of which expressions here know
    nothing.
    """
    if collation is not SIMPLE and compares(spec):
        raise CommandFailure(2, "$expr under a collation is not served", unsupported="collation with $expr")
    expression = compile_expression(spec, variables)
    return lambda document: truth(expression.evaluate(document, variables))
