"""BSON's types: their names and numbers, and which one a value has.

Source: bsonspec.org 1.1; the names are those of MongoDB's ``$type`` and of its errors.
"""

from __future__ import annotations

from typing import Any, Final

from bson.code import Code
from bson.decimal128 import Decimal128

NUMBERS: Final[dict[str, int]] = {
    "double": 1,
    "string": 2,
    "object": 3,
    "array": 4,
    "binData": 5,
    "undefined": 6,
    "objectId": 7,
    "bool": 8,
    "date": 9,
    "null": 10,
    "regex": 11,
    "dbPointer": 12,
    "javascript": 13,
    "symbol": 14,
    "javascriptWithScope": 15,
    "int": 16,
    "timestamp": 17,
    "long": 18,
    "decimal": 19,
    "minKey": -1,
    "maxKey": 127,
}

_NAMES: Final = {
    "bool": "bool",
    "int": "int",
    "Int64": "long",
    "float": "double",
    "Decimal128": "decimal",
    "str": "string",
    "list": "array",
    "dict": "object",
    "DBRef": "object",
    "NoneType": "null",
    "ObjectId": "objectId",
    "DatetimeMS": "date",
    "datetime": "date",
    "Timestamp": "timestamp",
    "Regex": "regex",
    "Pattern": "regex",
    "bytes": "binData",
    "Binary": "binData",
    "MinKey": "minKey",
    "MaxKey": "maxKey",
}


def is_number(value: Any) -> bool:
    """Whether a value is a BSON number; a boolean is none."""
    return isinstance(value, int | float | Decimal128) and not isinstance(value, bool)


def type_name(value: Any) -> str:
    """MongoDB's name of a value's BSON type."""
    if isinstance(value, Code):
        return "javascript" if value.scope is None else "javascriptWithScope"
    return _NAMES.get(type(value).__name__, "object" if hasattr(value, "items") else "unknown")
