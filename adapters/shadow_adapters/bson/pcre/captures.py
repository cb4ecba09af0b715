"""Where a pattern matches and what its groups capture, in linear time (Pike's way).

All the places where backtracking could be are followed at once, in the order in which it would come to them, each with
what was captured on the way there; of two that meet, the earlier goes on.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import Final

from shadow_adapters.bson.pcre.linear import MATCHED, Automaton
from shadow_adapters.bson.pcre.nodes import Choice, Group, Node, One, Repeat, Sequence
from shadow_adapters.bson.pcre.parse import Parsed, refuse

_MAX_VISITS: Final = 1_000_000
"""Places looked at in one text, a second or two."""

Marks = tuple[int | None, ...]
"""Where the match and its groups begin and end, two by two; None where a group took no part."""


class Tracer:
    """Searches one text."""

    def __init__(self, parsed: Parsed, automaton: Automaton, text: str) -> None:
        """Raises `CommandFailure` for a pattern in whose repetitions the order is not certain."""
        if _repeats_nothing(parsed.node):
            refuse("captures of a repetition of what may be empty, over a long text")
        self._automaton = automaton
        self._text = text
        self._nothing: Marks = (None,) * (2 * parsed.groups + 2)
        self._visits = 0

    def find(self, start: int) -> Marks | None:
        """The first match at or behind a position. Raises `CommandFailure` where that would take too long."""
        found: Marks | None = None
        waiting: list[tuple[int, Marks]] = []
        for position in range(start, len(self._text) + 1):
            if found is None:
                waiting.append((self._automaton.start, _marked(self._nothing, 0, position)))
            consuming, ended = self._reach(waiting, position)
            found = found if ended is None else _marked(ended, 1, position)
            waiting = self._consume(consuming, self._text[position : position + 1])
            if found is not None and not waiting:
                break
        return found

    def _reach(
        self, waiting: Several[tuple[int, Marks]], position: int
    ) -> tuple[list[tuple[int, Marks]], Marks | None]:
        """The places that consume, in order, as far as the first at which the match is complete; and its marks."""
        places, text = self._automaton.places, self._text
        consuming: list[tuple[int, Marks]] = []
        seen: set[int] = set()
        todo = list(reversed(waiting))
        ended: Marks | None = None
        while todo and ended is None:
            index, marks = todo.pop()
            if index in seen:
                continue
            seen.add(index)
            place = places[index]
            if index == MATCHED:
                ended = marks
            elif place.test is not None and not place.here:
                consuming.append((index, marks))
            elif place.test is None or place.test.match(text, position) is not None:
                marks = marks if place.mark is None else _marked(marks, place.mark, position)
                todo += [(then, marks) for then in reversed(place.then)]
        self._visits += len(seen)
        if self._visits > _MAX_VISITS:
            refuse("captures beside several quantifiers over a long text")
        return consuming, ended

    def _consume(self, consuming: list[tuple[int, Marks]], char: str) -> list[tuple[int, Marks]]:
        waiting: list[tuple[int, Marks]] = []
        for index, marks in consuming:
            place = self._automaton.places[index]
            if place.test is not None and place.test.fullmatch(char) is not None:
                waiting += [(then, marks) for then in place.then]
        return waiting


def _marked(marks: Marks, mark: int, position: int) -> Marks:
    return (*marks[:mark], position, *marks[mark + 1 :])


def _repeats_nothing(node: Node) -> bool:
    """Whether something that may be empty is repeated without a bound: backtracking ends such a loop in its own way."""
    if isinstance(node, Repeat):
        return (node.most is None and _may_be_empty(node.body)) or _repeats_nothing(node.body)
    if isinstance(node, Sequence):
        return any(map(_repeats_nothing, node.parts))
    if isinstance(node, Choice):
        return any(map(_repeats_nothing, node.branches))
    return isinstance(node, Group) and _repeats_nothing(node.body)


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Repeat):
        return node.least == 0 or _may_be_empty(node.body)
    if isinstance(node, Sequence):
        return all(map(_may_be_empty, node.parts))
    if isinstance(node, Choice):
        return any(map(_may_be_empty, node.branches))
    if isinstance(node, Group):
        return _may_be_empty(node.body)
    return not isinstance(node, One)
