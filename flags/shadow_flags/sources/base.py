"""The contract of a flag source: it says what is wanted of each entity, from memory, at any time.

Whatever happens to the place that the wishes come from (a broken file, a server that is away, a variant that is no
phase), a source keeps the last known state and says what is wrong. It never raises into the application, and never
turns a mistake into a jump.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shadow_flags.phases import Phase
from shadow_flags.routes import OFF, Routes, earliest


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one entity now.

    Attributes:
        routes: the phase wanted for each bucket.
        known: whether any state was ever fetched, read or cached. While it is False, ``routes`` let legacy answer, and
            the process must not conduct steps.
        age: seconds since the source last confirmed this state; 0 for a state that was never known.
        off: the flag is off, or the kill flag is on: legacy answers everything.
        problems: everything wrong with what the source says of this entity, each with its place and fix.
    """

    routes: Routes
    known: bool
    age: float = 0.0
    off: bool = False
    problems: tuple[str, ...] = ()

    def aim(self, settled: Phase) -> Phase:
        """Where the fleet should take the entity from its settled phase, one step at a time.

        Off never leads forward: an entity that is still in ``legacy`` stays there. Unknown leads nowhere.
        """
        if not self.known:
            return settled
        return earliest([settled, OFF]) if self.off else self.routes.aim


class Source(Protocol):
    """Says what is wanted."""

    async def start(self, on_change: Callable[[], object]) -> None:
        """Begin to watch; returns with a first state, or without one after a bounded time. Does not raise.

        ``on_change`` is called after each change, from any thread: it must be quick, and hop to its own loop.
        """

    def snapshot(self, entity: str) -> Wanted:
        """What is wanted of a configured entity (for collections of a pattern: the pattern's entity). No I/O.

        Raises `KeyError` for an entity that the source was not made with.
        """

    async def close(self) -> None:
        """Stop watching. The last snapshots stay readable."""
