"""The closing account of one entity's comparisons: nothing that was sampled goes missing.

``sampled = compared + shed + errored + expired``, plus what is still open. Whoever takes samples knows what it holds,
so the account can be checked against it at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from shadow.metrics.sink import Sink
from shadow.metrics.table import COMPARISONS


class Part(StrEnum):
    """How a sampled comparison ended."""

    COMPARED = "compared"
    SHED = "shed"  # over the bounds, or Shadow was closing
    ERRORED = "errored"  # a side could not answer
    EXPIRED = "expired"  # waited too long for its turn


@dataclass(frozen=True, slots=True)
class Balance:
    """The account at one moment. ``open`` is what was sampled and has not ended."""

    sampled: int
    compared: int
    shed: int
    errored: int
    expired: int

    @property
    def open(self) -> int:
        return self.sampled - self.compared - self.shed - self.errored - self.expired


class Account:
    """Counts samples and their ends, from any thread; shared by an entity's comparers of all loops."""

    def __init__(self, entity: str, sink: Sink) -> None:
        self._entity = entity
        self._sink = sink
        self._lock = Lock()
        self._sampled = 0
        self._ended = dict.fromkeys(Part, 0)
        self._published: dict[str, int] = {}

    def sample(self) -> None:
        """One more comparison was taken on."""
        with self._lock:
            self._sampled += 1

    def end(self, part: Part) -> None:
        """One comparison has ended. Raises `ValueError` if more would have ended than were sampled."""
        with self._lock:
            if sum(self._ended.values()) >= self._sampled:
                raise ValueError(f"{self._entity}: a comparison ended twice")
            self._ended[part] += 1

    def publish(self) -> None:
        """Advance the metric to the account: now and then, since samples are taken on the caller's path."""
        with self._lock:
            now = {"sampled": self._sampled} | {part.value: count for part, count in self._ended.items()}
            fresh = {name: count - self._published.get(name, 0) for name, count in now.items()}
            self._published = now
        for name, amount in fresh.items():
            if amount:
                self._sink.add(COMPARISONS, (self._entity, name), amount)

    def balance(self) -> Balance:
        """The account now, consistent in itself."""
        with self._lock:
            return Balance(self._sampled, **{part.value: count for part, count in self._ended.items()})
