"""What an update operator compiles to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson.datetime_ms import DatetimeMS

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.update.editor import Editor, Path


@dataclass(frozen=True, slots=True)
class Occasion:
    """What an update depends on beside the document. ``inserting``: it makes the document of an upsert."""

    now: DatetimeMS
    inserting: bool


Effect = Callable[[Editor, Path, Occasion], None]
"""A change of a document at one path, which holds no positional operators any more."""

Operator = Callable[[Path, Any, Collation], Effect]
"""From a path, the operator's argument and how texts compare to the effect.

Raises `CommandFailure` for an argument that is no good.
"""


def dotted(path: Path) -> str:
    """The path as it was written."""
    return ".".join(path)
