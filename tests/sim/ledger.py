"""What really happened to each key, as nobody in the simulated fleet can know it.

The world tells the ledger of every write in the order in which the authority applied it, and of every acknowledgement.
The ledger keeps the states that the key went through. A record is *fresh enough* when it is one of those states, and
not older than the last acknowledged write: so a lost write and a stale read are both a record that is not.
"""

from __future__ import annotations

from collections.abc import Mapping

from shadow_adapters.bson.codec import decode
from shadow_adapters.contract import Key, Record


class Violation(Exception):
    """The simulated fleet broke a promise."""


class Ledger:
    """States of every key, oldest first; the first is what the run began with."""

    def __init__(self, initial: Mapping[Key, Record | None]) -> None:
        self._states: dict[Key, list[Record | None]] = {key: [record] for key, record in initial.items()}
        self._floor: dict[Key, int] = dict.fromkeys(initial, 0)
        self._applied: dict[tuple[Key, int], int] = {}
        self.acknowledged = 0

    @property
    def keys(self) -> list[Key]:
        """Every key that the run uses."""
        return list(self._states)

    def applied(self, key: Key, write: int, state: Record | None) -> None:
        """The authority applied a write, and this is the record after it."""
        self._applied[key, write] = len(self._states[key])
        self._states[key].append(state)

    def acknowledge(self, key: Key, write: int) -> None:
        """A caller was told that the write is done. Raises `Violation` when the authority never applied it."""
        if (key, write) not in self._applied:
            raise Violation(f"lost: write {write} of {name(key)} was acknowledged and never applied on the authority")
        self.acknowledged += 1
        self._floor[key] = max(self._floor[key], self._applied[key, write])

    def floor(self, key: Key) -> int:
        """How old a read that starts now may be, for `check_read`."""
        return self._floor[key]

    def check_read(self, key: Key, floor: int, record: Record | None, source: str) -> None:
        """Raises `Violation` when the record is older than the floor."""
        if not self._fresh(key, floor, record):
            raise Violation(f"stale: {source} answered {show(record)} for {name(key)}, {self._expected(key, floor)}")

    def check_authority(self, key: Key, record: Record | None) -> None:
        """Raises `Violation` when the authority's record misses an acknowledged write."""
        if not self._fresh(key, self._floor[key], record):
            raise Violation(
                f"lost: the authority holds {show(record)} for {name(key)}, {self._expected(key, self._floor[key])}"
            )

    def moved(self, key: Key, record: Record | None) -> None:
        """The authority moved: what the old one applied without acknowledging, and the new one lacks, never was."""
        states = self._states[key]
        kept = max((n for n, state in enumerate(states) if state == record), default=len(states) - 1)
        if kept >= self._floor[key]:
            del states[kept + 1 :]

    def _fresh(self, key: Key, floor: int, record: Record | None) -> bool:
        return record in self._states[key][floor:]

    def _expected(self, key: Key, floor: int) -> str:
        states = self._states[key][floor:]
        return "expected one of " + ", ".join(show(state) for state in states[-5:])


def name(key: Key) -> str:
    """A key for a trace."""
    return key.strip(b"\0").decode("ascii", "replace").lstrip("0123456789@<(").strip()


def refused(record: Record | None) -> bool:
    """Whether new refuses the record."""
    return record is not None and "refused" in decode(record)


def show(record: Record | None) -> str:
    """A record for a trace: the last writes that it has seen."""
    if record is None:
        return "nothing"
    return f"writes {decode(record)['seen'][-4:]}"
