"""What of a filter SQL may still answer under a collation: every clause that has no text in it.

PostgreSQL compares texts by their bytes here, and a collation finds more. A clause that is left out makes a filter
match more, wherever it stands: under ``$nor`` and ``$not`` nothing is asked of SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadow_adapters.bson.collation import has_text
from shadow_adapters.bson.match import is_condition


def without_texts(filter: Mapping[str, Any]) -> dict[str, Any]:
    """The filter without what compares with texts; it matches at least what the whole one does."""
    kept: dict[str, Any] = {}
    for name, argument in filter.items():
        if name in ("$and", "$or"):
            kept[name] = [without_texts(branch) for branch in argument]
        elif name.startswith("$"):
            continue
        elif is_condition(argument):
            plain = {operator: operand for operator, operand in argument.items() if not has_text(operand)}
            if plain:
                kept[name] = plain
        elif not has_text(argument):
            kept[name] = argument
    return kept
