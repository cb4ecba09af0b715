"""MongoDB's limits of a document: 100 levels of nesting, 16 MiB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bson.dbref import DBRef

from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import CommandFailure

MAX_DEPTH: Final = 100
"""Levels of documents and arrays inside each other, the document itself not counted (``BSONDepth``)."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest document that MongoDB stores."""


def check_depth(value: Any) -> None:
    """Raises `CommandFailure` 15 (Overflow) where the value is nested too deep."""
    _descend(value, MAX_DEPTH)


def _descend(value: Any, left: int) -> None:
    if left < 0:
        raise CommandFailure(15, f"Document exceeds maximum nested object depth of {MAX_DEPTH}")
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    elif isinstance(value, DBRef):
        inner = value.as_doc().values()
    for item in inner:
        if isinstance(item, Mapping | list | tuple | DBRef):
            _descend(item, left - 1)


def check_size(record: bytes) -> None:
    """Raises `CommandFailure` 10334 where a record is larger than MongoDB stores."""
    if len(record) > MAX_BYTES:
        raise CommandFailure(
            10334, f"BSONObj size: {len(record)} (0x{len(record):X}) is invalid. Size must be between 0 and {MAX_BYTES}"
        )


def checked_record(document: Mapping[str, Any]) -> bytes:
    """The record of a document that is within the limits. Raises `CommandFailure` 15 or 10334."""
    check_depth(document)
    record = encode(document)
    check_size(record)
    return record
