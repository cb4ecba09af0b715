"""What ``insert_one`` and ``insert_many`` share: documents get their ``_id`` first, and are whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo.common import validate_is_document_type

from shadow.ops.base import Command
from shadow.ops.driver import Driver
from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.keys import key_of
from shadow_adapters.contract import Key, Record

_SERVER_FILLS = Timestamp(0, 0)


def give_id(document: Any) -> Any:
    """Put an ``_id`` into the caller's own document, as the driver does before it sends.

    A raw document cannot be changed: one without an ``_id`` is copied with one, so that the server need not choose it.
    """
    validate_is_document_type("document", document)
    if "_id" in document:
        return document
    if isinstance(document, RawBSONDocument):
        return RawBSONDocument(bson.encode({"_id": ObjectId(), **document}))
    document["_id"] = ObjectId()
    return document


def insert_command(driver: Driver, wire: Sequence[Mapping[str, Any]], ordered: bool, common: dict[str, Any]) -> Command:
    """The ``insert`` command of documents in the wire's form."""
    return {"insert": driver.name, "ordered": ordered, "documents": list(wire), **common}


def whole_records(wire: Sequence[dict[str, Any]]) -> Mapping[Key, Record] | None:
    """The records as they are stored; None where the server chooses a value (an empty timestamp)."""
    if any(document[field] == _SERVER_FILLS for document in wire for field in document):
        return None
    return {key_of(document["_id"]): encode(document) for document in wire}
