"""Any BSON value as extended JSON that jsonb gives back unchanged: what the ``_rest`` column is written in.

Values that jsonb keeps are written plainly. Others are canonical extended JSON (``$oid``, ``$date``, ``$numberLong``,
``$numberDouble``, ``$numberDecimal``, ``$binary``), and where that has no exact or no ordered form:

    {"$doc": [[name, value], ...]}   a document whose fields jsonb would reorder, or that has names with ``$``
    {"$bson": "base64"}              everything else: the value as BSON, under an empty name
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.postgres.layouts.jsonb import in_order, is_exact

_INT32 = 1 << 31
_NAN = struct.pack("<d", float("nan"))


def to_extended(value: Any) -> Any:
    """The value as a JSON tree."""
    kind = type(value)
    if kind is dict:
        fields = [[name, to_extended(field)] for name, field in value.items()]
        if in_order(list(value)) and not any(name.startswith("$") for name in value):
            return dict(fields)
        return {"$doc": fields}
    if kind is list:
        return [to_extended(element) for element in value]
    if kind is int or kind is Int64:
        return value if kind is int and -_INT32 <= value < _INT32 else {"$numberLong": str(int(value))}
    if is_exact(value):
        return value
    if kind is ObjectId:
        return {"$oid": str(value)}
    if kind is DatetimeMS:
        return {"$date": {"$numberLong": str(int(value))}}
    if kind is float and (value == value or struct.pack("<d", value) == _NAN):
        return {"$numberDouble": repr(value)}
    if kind is Decimal128 and Decimal128(str(value)).bid == value.bid:
        return {"$numberDecimal": str(value)}
    if kind is bytes or kind is Binary:
        subtype = value.subtype if kind is Binary else 0
        return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": f"{subtype:02x}"}}
    return {"$bson": base64.b64encode(encode({"": value})).decode()}


def from_extended(tree: Any) -> Any:
    """The value of a JSON tree that `to_extended` made."""
    if isinstance(tree, list):
        return [from_extended(element) for element in tree]
    if not isinstance(tree, dict):
        return tree
    name = next(iter(tree), "")
    decoder = _DECODERS.get(name)
    if decoder is not None:
        return decoder(tree[name])
    return {field: from_extended(value) for field, value in tree.items()}


def _binary(fields: Any) -> bytes:
    raw, subtype = base64.b64decode(fields["base64"]), int(fields["subType"], 16)
    return Binary(raw, subtype) if subtype else raw


_DECODERS: dict[str, Any] = {
    "$doc": lambda fields: {name: from_extended(value) for name, value in fields},
    "$numberLong": lambda text: Int64(text),
    "$oid": ObjectId,
    "$date": lambda fields: DatetimeMS(int(fields["$numberLong"])),
    "$numberDouble": float,
    "$numberDecimal": Decimal128,
    "$binary": _binary,
    "$bson": lambda text: decode(base64.b64decode(text))[""],
}
