"""The tree of fields behind projections: of `find`, of ``$project``, ``$addFields`` and ``$unset``.

Two passes over a document, as in MongoDB's ``ProjectionNode``: first what is kept of it, in its own order, then what
is computed, in the order of the specification: in the place of what is there already, else behind. A path goes into
every element of an array on the way. What is on the way and neither document nor array is left out by an inclusion and
kept by the others; a computed path puts a document in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.expression import Expression
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.bson.projection.paths import Path
from shadow_adapters.failures import CommandFailure

INCLUDE: Final = "include"
EXCLUDE: Final = "exclude"
ADD: Final = "add"


class Fields:
    """One level of the tree.

    Attributes:
        mode: `INCLUDE`, `EXCLUDE` or `ADD`.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self._named: set[str] = set()
        self._inner: dict[str, Fields] = {}
        self._computed: dict[str, Expression] = {}
        self._order: list[str] = []
        self._computes = False

    def add(self, path: Path, computed: Expression | None) -> None:
        """Name a path, or what is computed for it. Raises `CommandFailure` where it collides with another."""
        self._computes = self._computes or computed is not None
        name, rest = path[0], path[1:]
        if name in self._named or name in self._computed:
            raise CommandFailure(31250 if not rest else 31249, f"Path collision at {'.'.join(path)}")
        if rest:
            if name not in self._inner:
                self._inner[name] = Fields(self.mode)
                self._order.append(name)
            self._inner[name].add(rest, computed)
        elif name in self._inner:
            raise CommandFailure(31250, f"Path collision at {name}")
        elif computed is None:
            self._named.add(name)
        else:
            self._computed[name] = computed
            self._order.append(name)

    def apply(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """What becomes of a document. It is not changed, and shares values with the result."""
        kept = self._keep(document)
        if self._computes:
            self._compute(kept, document, variables)
        return kept

    def _keep(self, document: Mapping[str, Any]) -> dict[str, Any]:
        if self.mode == ADD:
            return dict(document)
        named, inner = self._named, self._inner
        if self.mode == INCLUDE and not inner:
            return {name: value for name, value in document.items() if name in named}
        if not inner:
            return {name: value for name, value in document.items() if name not in named}
        kept = {}
        for name, value in document.items():
            if name in inner:
                value = inner[name]._keep_value(value)
                if value is not MISSING:
                    kept[name] = value
            elif (name in named) == (self.mode == INCLUDE):
                kept[name] = value
        return kept

    def _keep_value(self, value: Any) -> Any:
        if isinstance(value, list):
            elements = [self._keep_value(element) for element in value]
            return [element for element in elements if element is not MISSING]
        document = as_document(value)
        if document is None:
            return MISSING if self.mode == INCLUDE else value
        return self._keep(document)

    def _compute(self, kept: dict[str, Any], root: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        for name in self._order:
            expression = self._computed.get(name)
            if expression is not None:
                value = expression.evaluate(root, variables)
            elif self._inner[name]._computes:
                value = self._inner[name]._compute_value(kept.get(name, MISSING), root, variables)
            else:
                continue
            if value is MISSING:
                kept.pop(name, None)
            else:
                kept[name] = value

    def _compute_value(self, value: Any, root: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
        if isinstance(value, list):
            return [self._compute_value(element, root, variables) for element in value]
        document = as_document(value)
        kept = {} if document is None else dict(document)
        self._compute(kept, root, variables)
        return kept
