"""How much a stage may hold, counted by the size of its documents as BSON.

MongoDB lets a stage hold 100 MB and then goes to disk, or fails where it must not (``allowDiskUse: false``). Here a
stage goes on in memory in the first case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import CommandFailure

LIMIT: Final = 100 * 1024 * 1024
"""Bytes that a stage may hold (``internalQueryMaxBlockingSortMemoryUsageBytes`` and its like)."""


class Memory:
    """What one stage holds.

    Args:
        stage: its name, for the error.
        bounded: whether holding more than `LIMIT` is an error; nothing is counted where it is not.
    """

    def __init__(self, stage: str, *, bounded: bool) -> None:
        self._stage = stage
        self.bounded = bounded
        self._held = 0

    def add(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Count documents. Raises `CommandFailure` 292 beyond the limit."""
        if self.bounded:
            self._held += sum(len(encode(document)) for document in documents)
            self._check()

    def hold(self, size: int) -> None:
        """What is held now, in bytes. Raises as `add`."""
        if self.bounded:
            self._held = size
            self._check()

    def _check(self) -> None:
        if self._held > LIMIT:
            raise CommandFailure(
                292,
                f"Exceeded memory limit for {self._stage}, but didn't allow external spilling; "
                "pass allowDiskUse:true to opt in",
            )
