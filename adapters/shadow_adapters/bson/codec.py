"""How BSON is held in memory inside Shadow: types and key order survive the way in and out.

Dates are `DatetimeMS`, so that a date beyond Python's range survives; UUIDs stay `Binary` subtype 3 or 4; Int64 stays
Int64. Python cannot hold a document with two equal field names: the last one wins, as in the driver.
"""

from __future__ import annotations

from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=False,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)


def decode(record: bytes) -> dict[str, Any]:
    """The document of a record. Raises `bson.errors.InvalidBSON`."""
    return bson.decode(record, CODEC)


def decode_all(records: bytes) -> list[dict[str, Any]]:
    """The documents of records that lie one behind the other. Raises `bson.errors.InvalidBSON`."""
    return bson.decode_all(records, CODEC)


def encode(document: Any) -> bytes:
    """The record of a document. Raises `bson.errors.InvalidDocument` for a value that BSON cannot hold."""
    return bson.encode(document, codec_options=CODEC)
