"""What the query compiler asks of a layout: SQL conditions for one field.

A condition may select too much, never too little; `Condition.exact` says that it does neither. None means that SQL can
tell nothing about the field. All conditions are about the alias ``t``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """An SQL condition."""

    sql: str
    exact: bool = False


TRUE = Condition("true", True)
FALSE = Condition("false", True)


class Args:
    """The parameters of a statement while it is written."""

    def __init__(self, *args: Any) -> None:
        self.values: list[Any] = list(args)

    def add(self, value: Any) -> str:
        """The placeholder of a new parameter."""
        self.values.append(value)
        return f"${len(self.values)}"


class FieldOrder(NamedTuple):
    """An ORDER BY that is BSON's order of a sort, and the condition for rows that it does not put in their place.

    ``source``: the rows that are in their place, where these are not simply the table's others; a misplaced one may
    be among them.
    """

    sql: str
    misplaced: str
    source: str = ""


class Resolver(ABC):
    """How one layout answers the compiler. Paths are never ``_id`` here; values are scalars, not null."""

    @abstractmethod
    def ids(self, values: Sequence[Any], args: Args) -> Condition:
        """``_id`` equals one of the values (no regexes)."""

    @abstractmethod
    def id_range(self, operator: str, value: Any, args: Args) -> Condition | None:
        """``_id`` compared by ``$gt``, ``$gte``, ``$lt`` or ``$lte``."""

    @abstractmethod
    def equals(self, path: str, value: Any, args: Args) -> Condition | None:
        """A value that the path reaches equals the scalar."""

    @abstractmethod
    def compares(self, path: str, operator: str, value: Any, args: Args) -> Condition | None:
        """A value that the path reaches compares with the scalar, within its type."""

    @abstractmethod
    def exists(self, path: str, args: Args) -> Condition | None:
        """The path reaches something."""

    def atoms(self, path: str) -> str | None:
        """SQL for what a field of the document itself is, as a list in jsonb; None where the layout has no such.

        null: the field is missing. One number, string, boolean or null: it is that, the number an int32. More than one
        entry: it is not told what it is. Else it is something that is no number and no string.
        """
        return None

    def tells(self) -> str:
        """SQL for whether a row's `atoms` tell so; true where there are none."""
        return "true"

    def field_order(self, sort: Mapping[str, Any]) -> FieldOrder | None:
        """The order of a sort by other fields; None where SQL cannot tell."""
        return None

    @abstractmethod
    def id_order(self, descending: bool) -> str | None:
        """ORDER BY that is BSON's order of ``_id``; None where the table cannot tell."""
