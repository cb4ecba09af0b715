"""Searching in time linear in the text, for the patterns and lengths where backtracking could take too long.

Thompson's construction: all the places in the pattern where a match could be are followed at once, character by
character. What was worked out for a set of places is remembered, which makes of it, bit by bit, a deterministic
automaton. It is slower than `re` on most texts, and never much slower.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from shadow_adapters.bson.pcre.nodes import Choice, Group, Here, Look, Node, One, Repeat, Sequence
from shadow_adapters.bson.pcre.parse import refuse

MAX_LENGTH: Final = 2_000_000
"""Characters that pass in about a second."""
_MAX_PLACES: Final = 2_000
_MAX_REMEMBERED: Final = 500_000
"""Places in the sets that are remembered, some tens of megabytes; beyond that all is forgotten."""
_MAX_VISITS: Final = 3_000_000
"""Places looked at anew in one search, a second or two."""
MATCHED: Final = 0
"""The place where a match is complete."""


@dataclass(slots=True)
class Place:
    """Consumes a character that ``test`` accepts, or holds where ``test`` does (``here``), or only leads on.

    ``then``: where it leads, what backtracking would try first before the rest. ``mark``: the end of a group that it
    is, the beginnings being even; None where it is none.
    """

    test: re.Pattern[str] | None = None
    here: bool = False
    then: list[int] = field(default_factory=list)
    mark: int | None = None


class Automaton:
    """The places of one pattern, and what has been worked out about sets of them."""

    def __init__(self, node: Node, flags: int) -> None:
        """Raises `CommandFailure` for a look-around, and for a pattern of too many places."""
        self.flags = flags
        self.places = [Place()]
        self.start = self._build(node, MATCHED)
        self.conditions = sorted({index for index, place in enumerate(self.places) if place.here})
        self.reached: dict[tuple[frozenset[int], tuple[bool, ...]], frozenset[int]] = {}
        self.consumed: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self.remembered = 0

    def found(self, text: str) -> bool:
        """Whether the pattern matches somewhere. Raises `CommandFailure` for a text that would take too long."""
        if len(text) > MAX_LENGTH:
            refuse("several quantifiers over a long text")
        visits = 0
        waiting: frozenset[int] = frozenset()
        for position in range(len(text) + 1):
            holding = tuple([self._holds(index, text, position) for index in self.conditions])
            places = self.reached.get((waiting, holding))
            if places is None:
                places = self._reach(waiting, holding)
                visits += len(self.places)
            if MATCHED in places:
                return True
            char = text[position : position + 1]
            step = self.consumed.get((places, char))
            if step is None:
                step = self._consume(places, char)
                visits += len(places)
            waiting = step
            if visits > _MAX_VISITS:
                refuse("too many alternatives over a long text")
        return False

    # -- following places

    def _holds(self, index: int, text: str, position: int) -> bool:
        test = self.places[index].test
        return test is not None and test.match(text, position) is not None

    def _reach(self, waiting: frozenset[int], holding: tuple[bool, ...]) -> frozenset[int]:
        """The places that can be had without consuming anything, from those waiting and from a new start."""
        true = {index for index, holds in zip(self.conditions, holding, strict=True) if holds}
        reached: set[int] = set()
        todo = [self.start, *waiting]
        while todo:
            index = todo.pop()
            if index in reached:
                continue
            reached.add(index)
            place = self.places[index]
            if place.test is None or index in true:
                todo += place.then
        consuming = {index for index in reached if self._consumes(index)}
        result = frozenset(consuming | ({MATCHED} & reached))
        self._make_room(len(result))
        self.reached[waiting, holding] = result
        return result

    def _consumes(self, index: int) -> bool:
        return self.places[index].test is not None and not self.places[index].here

    def _consume(self, places: frozenset[int], char: str) -> frozenset[int]:
        result: set[int] = set()
        for index in places:
            test = self.places[index].test
            if test is not None and test.fullmatch(char) is not None:
                result.update(self.places[index].then)
        self._make_room(len(result))
        return self.consumed.setdefault((places, char), frozenset(result))

    def _make_room(self, places: int) -> None:
        self.remembered += places + 1
        if self.remembered > _MAX_REMEMBERED:
            self.reached.clear()
            self.consumed.clear()
            self.remembered = places + 1

    # -- building, from the end of the pattern to its start

    def _add(self, place: Place) -> int:
        if len(self.places) >= _MAX_PLACES:
            refuse("too many repetitions")
        self.places.append(place)
        return len(self.places) - 1

    def _build(self, node: Node, after: int) -> int:
        """Add the places of a node that is followed by the place ``after``; returns its first."""
        if isinstance(node, One | Here):
            test = re.compile(node.source, self.flags)
            return self._add(Place(test, isinstance(node, Here), [after]))
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                after = self._build(part, after)
            return after
        if isinstance(node, Choice):
            return self._add(Place(then=[self._build(branch, after) for branch in node.branches]))
        if isinstance(node, Group):
            closing = self._add(Place(then=[after], mark=2 * node.number + 1))
            return self._add(Place(then=[self._build(node.body, closing)], mark=2 * node.number))
        if isinstance(node, Look):
            refuse("look-around beside several quantifiers")
        return self._repeat(node, after)

    def _repeat(self, node: Repeat, after: int) -> int:
        order = -1 if node.lazy else 1
        if node.most is None:
            loop = self._add(Place())
            self.places[loop].then = [self._build(node.body, loop), after][::order]
            first = loop
        else:
            first = after
            for _ in range(node.most - node.least):
                first = self._add(Place(then=[self._build(node.body, first), after][::order]))
        for _ in range(node.least):
            first = self._build(node.body, first)
        return first
