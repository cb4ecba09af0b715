"""A count that any thread may advance at next to no cost: no lock, no label, no sink."""

from __future__ import annotations

from itertools import count


class Tally:
    """A count that is read once in a while.

    Attributes:
        advance: counts one; one step of the interpreter's own, so that no thread's is lost.
    """

    __slots__ = ("_read", "_told", "advance")

    def __init__(self) -> None:
        self.advance = count().__next__
        self._read = self._told = 0

    def fresh(self) -> int:
        """What was counted since the last time that this was asked. By one thread only."""
        counted = self.advance() - self._read  # to look is to count, too
        self._read += 1
        fresh, self._told = counted - self._told, counted
        return fresh
