"""Values as the wire would carry them: the one form in which type, field order and value all count.

Python's ``==`` says that 1, 1.0 and True are equal and that field order does not matter; BSON bytes do not.
"""

from __future__ import annotations

from typing import Any

from shadow_adapters.bson.codec import encode

_TYPES = {
    0x01: "double",
    0x02: "string",
    0x03: "object",
    0x04: "array",
    0x05: "binData",
    0x06: "undefined",
    0x07: "objectId",
    0x08: "bool",
    0x09: "date",
    0x0A: "null",
    0x0B: "regex",
    0x0C: "dbPointer",
    0x0D: "javascript",
    0x0E: "symbol",
    0x0F: "javascriptWithScope",
    0x10: "int",
    0x11: "timestamp",
    0x12: "long",
    0x13: "decimal",
    0x7F: "maxKey",
    0xFF: "minKey",
}


def wire(value: Any) -> bytes:
    """The value as the only element of a BSON document. Raises `bson.errors.InvalidDocument`."""
    return encode({"": value})


def bson_type(value: Any) -> str:
    """MongoDB's alias of the value's type, as ``$type`` takes it: ``int``, ``long``, ``objectId``."""
    return _TYPES[wire(value)[4]]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in type, field order and value."""
    return wire(a) == wire(b)
