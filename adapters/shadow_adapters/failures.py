"""What a store can answer instead of a result, as the protocol tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StoreError(Exception):
    """Base of everything a store raises towards the protocol."""


class StoreDown(StoreError):
    """The store cannot be reached or does not answer in time. Nothing was applied, or it does not matter."""


class OutOfTime(StoreDown):
    """The caller waits no longer for the store's answer. Nothing was applied."""


class OutcomeUnknown(StoreError):
    """The store may have applied the write, or may still apply it later (time-out, lost connection)."""


class Refused(StoreError):
    """The store refuses this record as it is: too long, a constraint, a type. Retrying alone does not help.

    Args:
        reason: what is refused and the way out, without the record's values.
        kind: ``length``, ``null``, ``unique``, ``foreign``, ``check``, ``type`` or ``size``.
        conflicts: byte keys of the records that stand in the way (unique or foreign key), where they are known.
        key: byte key of the refused record, where a batch was put.
    """

    def __init__(self, reason: str, *, kind: str, conflicts: tuple[bytes, ...] = (), key: bytes | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.conflicts = conflicts
        self.key = key


class EpochMoved(StoreError):
    """The entity's epoch is not the one that the caller acted under. Nothing was done."""


class NotReadable(StoreError):
    """New may not answer this read now (an old open mark, a debt, a lapsed lease). The authority must."""


class CommandFailure(StoreError):
    """A command that the new store answers with MongoDB's own error.

    Args:
        code: MongoDB's error code (2 BadValue, 9 FailedToParse, 14 TypeMismatch, 28, 40, 66, 115 ...).
        message: MongoDB's wording where the code is matched by text.
        details: further fields of the reply (``keyPattern``, ``keyValue``).
        unsupported: name of the operator or option when it is refused because this store does not serve it. Counted.
    """

    def __init__(
        self, code: int, message: str, *, details: Mapping[str, Any] | None = None, unsupported: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.unsupported = unsupported
