"""What happened in the last minute, as two counts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

SPAN = 60.0
"""Seconds that are remembered."""

_SLICE = 5.0


class Recent:
    """Events, and how many of them were hits, in slices of time of which the oldest fall away.

    ``clock``: gives seconds. From any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slices: deque[list[int]] = deque(maxlen=int(SPAN / _SLICE))

    def observe(self, hit: bool) -> None:
        """Count one event."""
        now = int(self._clock() / _SLICE)
        slices = self._slices
        if not slices or slices[-1][0] != now:
            slices.append([now, 0, 0])
        last = slices[-1]
        last[1] += 1
        last[2] += hit

    def forget(self) -> None:
        """Begin anew."""
        self._slices.clear()

    def counts(self) -> tuple[int, int]:
        """How many events there were, and how many hits among them."""
        oldest = int((self._clock() - SPAN) / _SLICE)
        kept = [each for each in list(self._slices) if each[0] > oldest]
        return sum(each[1] for each in kept), sum(each[2] for each in kept)
