"""The first byte of a key, which orders the types as MongoDB does."""

from __future__ import annotations

from typing import Final

END: Final = 0x00
"""Ends an object, an array and an escaped text; below every tag."""
TAG_MIN_KEY: Final = 10
TAG_UNDEFINED: Final = 15
"""No value's tag: an empty array sorts as undefined does."""
TAG_NULL: Final = 20
TAG_NUMBER: Final = 30
TAG_STRING: Final = 60
TAG_OBJECT: Final = 70
TAG_ARRAY: Final = 80
TAG_BINARY: Final = 90
TAG_OBJECT_ID: Final = 100
TAG_BOOL: Final = 110
TAG_DATE: Final = 120
TAG_TIMESTAMP: Final = 130
TAG_REGEX: Final = 140
TAG_CODE: Final = 160
TAG_CODE_WITH_SCOPE: Final = 170
TAG_MAX_KEY: Final = 240
