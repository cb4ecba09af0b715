"""How documents lie in PostgreSQL's tables."""

from __future__ import annotations

from collections.abc import Mapping

from shadow_adapters.postgres.layouts.base import Layout, PutPlan
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.layouts.table import TableLayout

__all__ = ["DocumentsLayout", "Layout", "PutPlan", "TableLayout", "layout_for"]


def layout_for(entity: str, *, layout: str, table: str, id_column: str, columns: Mapping[str, str]) -> Layout:
    """The layout that the configuration describes.

    Args:
        layout: ``documents`` or ``table``.
        table: ``schema.table``.
        id_column, columns: for ``table``: the key's column, and the column of each field path.

    Raises `ValueError` for a mapping that contradicts itself.
    """
    if layout == "table":
        return TableLayout(entity, table, id_column, columns)
    return DocumentsLayout(entity, table)
