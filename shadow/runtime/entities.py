"""The entities of a process, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shadow.runtime.entity import Entity


class Entities(dict[str, Entity]):
    """Those that are configured by themselves from the start, each of a pattern's from when it is first asked for.

    ``make`` makes one that is not there yet; it raises `KeyError` for a name that nothing covers.
    """

    def __init__(self, make: Callable[[str], Entity]) -> None:
        super().__init__()
        self._make = make
        self._lock = threading.RLock()

    def __missing__(self, name: str) -> Entity:
        with self._lock:
            found = self.get(name)
            return self._make(name) if found is None else found
