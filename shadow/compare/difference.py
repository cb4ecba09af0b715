"""A difference that prints itself for a human."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deepdiff import DeepDiff

from shadow.compare.kinds import Kind
from shadow.compare.redact import redact, reveal
from shadow.compare.wire import wire

_LINES = 20  # of an explanation
_DEEP = 8 * 1024  # bytes of both sides together; beyond, DeepDiff would hold up the event loop for too long


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between the authority's and the follower's answer.

    ``authority`` and ``follower`` are the two values concerned: of a query, the pair of documents, not the whole
    answers. ``id`` is the ``_id`` of the record in which it was found (`has_id` tells None from none). Printed with
    values redacted; ``show(revealed=True)`` has them in clear.
    """

    kind: Kind
    path: str
    authority: Any
    follower: Any
    note: str = ""
    id: Any = None
    has_id: bool = False

    @property
    def explanation(self) -> str:
        """Every place that differs, one a line, values redacted."""
        return self.explain()

    def explain(self, *, revealed: bool = False) -> str:
        """Every place that differs, one a line. Costly for large documents, so made only when it is asked for."""
        if _size(self.authority) + _size(self.follower) > _DEEP:
            lines = [f"{self.path or 'value'}: the first of the differences, too large to explain further"]
        else:
            form = reveal if revealed else redact
            lines = list(_lines(form(self.authority), form(self.follower)))
        if len(lines) > _LINES:
            lines[_LINES:] = [f"... and {len(lines) - _LINES} more"]
        if self.note:
            lines.append(f"({self.note})")
        return "\n".join(lines)

    def show(self, *, revealed: bool = False) -> str:
        """The difference for a human: headline, both sides, and what differs."""
        form = reveal if revealed else redact
        return "\n".join(
            (
                f"mismatch: {self.kind}{f' at {self.path}' if self.path else ''}",
                f"  authority: {form(self.authority)}",
                f"  follower:  {form(self.follower)}",
                *(f"  {line}" for line in self.explain(revealed=revealed).splitlines()),
            )
        )

    __str__ = show

    def __repr__(self) -> str:
        return f"<Difference {self.kind} at {self.path!r}>"


def _size(value: Any) -> int:
    return 0 if isinstance(value, BaseException) else len(wire(value))


def _lines(authority: Any, follower: Any) -> Iterator[str]:
    """Lines of ``path: authority -> follower`` for two values whose leaves are text already."""
    found = False
    for levels in DeepDiff(authority, follower, view="tree", ignore_private_variables=False).values():
        for level in levels:
            found = True
            path = "".join(
                f"[{part}]" if isinstance(part, int) else f".{part}" for part in level.path(output_format="list")
            )
            yield f"{path.removeprefix('.') or 'value'}: {level.t1} -> {level.t2}"
    if not found and authority != follower:
        yield f"value: {authority} -> {follower}"
    elif not found:
        yield from _field_order(authority, follower)


def _field_order(authority: Any, follower: Any, path: str = "") -> Iterator[str]:
    """DeepDiff does not see the order of fields."""
    if isinstance(authority, dict):
        if list(authority) != list(follower):
            yield f"{path or 'value'}: fields {', '.join(authority)} -> {', '.join(follower)}"
        for name, value in authority.items():
            yield from _field_order(value, follower[name], f"{path}.{name}" if path else name)
    elif isinstance(authority, list):
        for i, pair in enumerate(zip(authority, follower, strict=True)):
            yield from _field_order(*pair, f"{path}[{i}]")
