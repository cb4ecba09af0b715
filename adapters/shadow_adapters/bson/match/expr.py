"""``$expr``: an aggregation expression over the document, whose value is taken as true or false."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.expression import compile_expression, truth
from shadow_adapters.bson.match.test import DocumentPredicate


def expression_holds(spec: Any, variables: Mapping[str, Any]) -> DocumentPredicate:
    """The predicate of an expression that sees the variables. Raises `CommandFailure`."""
    expression = compile_expression(spec, variables)
    return lambda document: truth(expression.evaluate(document, variables))
