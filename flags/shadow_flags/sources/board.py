"""What a source last said of each entity: written by the source's own thread or task, read from anywhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shadow_flags.routes import OFF, Routes, uniform
from shadow_flags.sources.base import Wanted

log = logging.getLogger("shadow_flags")


@dataclass(frozen=True, slots=True)
class Said:
    """One reading of an entity's flag. ``routes`` None: nothing usable was said, the last known state stays."""

    routes: Routes | None = None
    off: bool = False
    problems: tuple[str, ...] = ()


class Board:
    """The last known state of each entity."""

    def __init__(self, entities: Iterable[str]) -> None:
        unknown = Wanted(routes=uniform(OFF), known=False)
        self._states = dict.fromkeys(entities, unknown)
        self._confirmed = time.time()
        self._lock = threading.Lock()

    @property
    def entities(self) -> tuple[str, ...]:
        """The names of the entities."""
        return tuple(self._states)

    def confirm(self, at: float) -> None:
        """The state is still what the source says, as of this time (seconds since 1970)."""
        self._confirmed = at

    def post(self, said: Mapping[str, Said]) -> bool:
        """Take over what was read. True if anything changed; new problems are logged, once each."""
        with self._lock:
            states = {entity: self._next(entity, reading) for entity, reading in said.items()}
            changed = {entity for entity, state in states.items() if state != self._states[entity]}
            for entity in changed:
                _report(entity, self._states[entity], states[entity])
            self._states = {**self._states, **states}
        return bool(changed)

    def snapshot(self, entity: str) -> Wanted:
        """The last known state with its age. Raises `KeyError` for an entity that is not on the board."""
        state = self._states.get(entity)
        if state is None:
            raise KeyError(f"no flag is watched for {entity!r}; entities are {', '.join(self._states)}")
        return replace(state, age=max(0.0, time.time() - self._confirmed)) if state.known else state

    def _next(self, entity: str, said: Said) -> Wanted:
        if said.routes is None:
            return replace(self._states[entity], problems=said.problems)
        return Wanted(routes=said.routes, known=True, off=said.off, problems=said.problems)


def _report(entity: str, before: Wanted, after: Wanted) -> None:
    for problem in after.problems:
        if problem not in before.problems:
            log.warning("flag of %s: %s", entity, problem)
    if after.routes.held and after.routes.held != before.routes.held:
        log.warning("flag of %s: %s", entity, after.routes.held)
