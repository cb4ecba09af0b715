"""A read whose documents are delivered by a cursor."""

from __future__ import annotations

from typing import Any

from shadow.ops.base import Reply
from shadow.ops.driver import DriverRead
from shadow.ops.replies import first_batch


class CursorRead(DriverRead[list[Any]]):
    """What a ``find`` and an ``aggregate`` have in common.

    Attributes:
        others: the other collections of the database that are read.
    """

    others: tuple[str, ...] = ()

    def result(self, reply: Reply) -> list[Any]:
        return self.driver.natives(first_batch(reply))

    def observed(self, result: list[Any]) -> list[dict[str, Any]]:
        return [self.driver.wire_document(document) for document in result]
