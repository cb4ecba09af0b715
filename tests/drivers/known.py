"""Tests of the drivers that end otherwise in ``legacy``, by design."""

from __future__ import annotations

from fnmatch import fnmatchcase

_KNOWN = {
    "*::test_attaches_transaction_fields_to_given_command": "an insert as a command gets its _id before it is sent",
    "*test_handshake_*": "Shadow names its connections beside what the driver names them",
    "*metadata*": "Shadow names its connections beside what the driver names them",
}


def known(test: str) -> str:
    """Why this test may end otherwise; empty where it may not."""
    return next((why for pattern, why in _KNOWN.items() if fnmatchcase(test, pattern)), "")
