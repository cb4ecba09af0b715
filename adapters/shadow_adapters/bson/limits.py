"""MongoDB's limits of a document: 100 levels of nesting, 16 MiB, no dollar before the names in its ``_id``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.paths import SCALARS, as_document
from shadow_adapters.failures import CommandFailure

MAX_DEPTH: Final = 100
"""Levels of documents and arrays inside each other, the document itself not counted (``BSONDepth``)."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest document that MongoDB stores."""
_REFERENCE: Final = ("$ref", "$id", "$db")
_NOTHING: Final[Iterable[Any]] = ()


def check_depth(value: Any) -> None:
    """Raises `CommandFailure` 15 (Overflow) where the value is nested too deep."""
    _descend(_inner(value), MAX_DEPTH)


def _descend(values: Iterable[Any], left: int) -> None:
    for value in values:
        if type(value) in SCALARS:
            continue
        inner = _inner(value)
        if inner is not _NOTHING:
            if left == 0:
                raise CommandFailure(15, f"Document exceeds maximum nested object depth of {MAX_DEPTH}")
            _descend(inner, left - 1)


def _inner(value: Any) -> Iterable[Any]:
    """What a document or an array holds."""
    if isinstance(value, list | tuple):
        return value
    document = as_document(value)
    return _NOTHING if document is None else document.values()


def check_size(record: bytes) -> None:
    """Raises `CommandFailure` 10334 where a record is larger than MongoDB stores."""
    if len(record) > MAX_BYTES:
        raise CommandFailure(
            10334, f"BSONObj size: {len(record)} (0x{len(record):X}) is invalid. Size must be between 0 and {MAX_BYTES}"
        )


def check_id(value: Any) -> None:
    """Raises `CommandFailure` 52 (DollarPrefixedFieldName) where a name inside an ``_id`` begins with a dollar."""
    inner = None if type(value) in SCALARS else as_document(value)
    for name, each in () if inner is None else inner.items():
        if name.startswith("$") and name not in _REFERENCE:
            text = f"_id fields may not contain '$'-prefixed fields: {name} is not valid for storage."
            raise CommandFailure(52, text)
        check_id(each)


def checked_record(document: Mapping[str, Any]) -> bytes:
    """The record of a document that is within the limits. Raises `CommandFailure` 15, 52 or 10334."""
    check_depth(document)
    check_id(document.get("_id"))
    record = encode(document)
    check_size(record)
    return record
