"""Projections: which fields of a document are returned, and what is computed.

Inclusion keeps the fields named, in the document's order, and ``_id`` unless it is excluded; exclusion keeps
all others. A dotted path goes into every element of an array, however deep; inclusion then leaves out what is
no document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.match import Matcher, compile_filter
from shadow_adapters.bson.projection.elements import keep_found
from shadow_adapters.bson.projection.fields import Fields
from shadow_adapters.bson.projection.find import FindParser
from shadow_adapters.bson.projection.parser import Parser
from shadow_adapters.bson.projection.paths import Path
from shadow_adapters.bson.projection.slices import Slice

__all__ = ["Projection", "compile_fields", "compile_projection"]

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Projection:
    """A compiled projection of `find`. ``positional``: where only the element that was found is kept."""

    fields: Fields | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    slices: Mapping[Path, Slice] = field(default_factory=dict)
    positional: tuple[Path, Matcher] | None = None

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """What is returned of a document; the document itself for an empty projection.

        Raises `CommandFailure`: 51246 or 51247 where no element was found, and what an expression raises.
        """
        if self.fields is None:
            return document
        result = self.fields.apply(document, self.variables)
        for path, cut in self.slices.items():
            result = cut.apply(result, path)
        if self.positional is not None:
            path, matcher = self.positional
            result = keep_found(result, path, matcher.position(document))
        return result


def compile_projection(
    spec: Mapping[str, Any] | None,
    filter: Mapping[str, Any] = _NOTHING,
    variables: Mapping[str, Any] = _NOTHING,
    collation: Collation = SIMPLE,
) -> Projection:
    """The projection of a `find` or a `findAndModify`.

    Args:
        filter: the filter that finds the documents, which ``$`` refers to.
        variables: what expressions may use, by name.
        collation: how ``$elemMatch`` and the filter compare texts.

    Raises `CommandFailure`: what `compile_fields` raises, and for ``$slice``, ``$elemMatch`` and ``$`` 31255, 31256,
    31270, 31271, 31274 to 31277, 31287, 31308.
    """
    if not spec:
        return Projection()
    parser = FindParser(variables, filter, collation)
    fields = parser.parse(spec)
    path = parser.positional
    found = None if path is None else (path, compile_filter(filter, variables, collation))
    return Projection(fields, variables, parser.slices, found)


def compile_fields(spec: Mapping[str, Any], names: Collection[str] = ()) -> Fields:
    """The tree of fields of ``$project``.

    ``names``: the variables that its expressions may use.

    Raises `CommandFailure`: 31252 to 31254, 31310 where inclusion and exclusion are mixed, 31249 or 31250 where two
    paths collide, 51270 for an empty sub-projection, 31324 for ``$``, 31325 for an operator that is none.
    """
    return Parser(names).parse(spec)
