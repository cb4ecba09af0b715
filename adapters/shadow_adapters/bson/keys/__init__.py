"""Order-preserving byte keys: comparing two keys as bytes is comparing two BSON values as MongoDB does.

A key is a tag byte (MongoDB's order of types), then a payload that delimits itself, so that keys can be concatenated
into a compound key. Equal values have equal keys whatever their type (1, 1.0, Int64(1), Decimal128("1.00")), and a key
decodes to a value equal to the one it was made from. The idea is MongoDB's KeyString; the bytes are our own, chosen so
that SQL can compute the simple ones: text is ``tag || utf8 || 00``, a bigint up to 2**53 is
``tag || flipped float8send || 00``, an ObjectId is ``tag || 12 bytes``.

Numbers are the flipped IEEE-754 bytes of the largest double that is not above the number. If the number is that double
one zero byte follows, else a one byte and the number's exact decimal form, which orders what shares the double.
"""

from __future__ import annotations

from typing import Any, Final

from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.bson.keys.decoding import decode
from shadow_adapters.bson.keys.encoding import ENCODERS, NAN, encode, invert, regex_flags, regex_source
from shadow_adapters.bson.keys.tags import (
    END,
    TAG_ARRAY,
    TAG_BINARY,
    TAG_BOOL,
    TAG_CODE,
    TAG_CODE_WITH_SCOPE,
    TAG_DATE,
    TAG_MAX_KEY,
    TAG_MIN_KEY,
    TAG_NULL,
    TAG_NUMBER,
    TAG_OBJECT,
    TAG_OBJECT_ID,
    TAG_REGEX,
    TAG_STRING,
    TAG_TIMESTAMP,
    TAG_UNDEFINED,
)
from shadow_adapters.failures import CommandFailure

__all__ = [
    "END",
    "NAN",
    "TAG_ARRAY",
    "TAG_BINARY",
    "TAG_BOOL",
    "TAG_CODE",
    "TAG_CODE_WITH_SCOPE",
    "TAG_DATE",
    "TAG_MAX_KEY",
    "TAG_MIN_KEY",
    "TAG_NULL",
    "TAG_NUMBER",
    "TAG_OBJECT",
    "TAG_OBJECT_ID",
    "TAG_REGEX",
    "TAG_STRING",
    "TAG_TIMESTAMP",
    "TAG_UNDEFINED",
    "decode",
    "encode",
    "invert",
    "key_of",
    "regex_flags",
    "regex_source",
]

_PLAIN_IDS: Final = {kind: ENCODERS[kind] for kind in (ObjectId, str, int, Int64)}


def key_of(_id: Any) -> bytes:
    """The byte key of a document's ``_id``.

    Raises `CommandFailure` 2 for an array or a regex, which MongoDB refuses as ``_id``.
    """
    encoder = _PLAIN_IDS.get(type(_id))
    if encoder is not None:
        return encoder(_id)
    key = encode(_id)
    if key[0] == TAG_ARRAY:
        raise CommandFailure(2, "can't use an array for _id")
    if key[0] == TAG_REGEX:
        raise CommandFailure(2, "can't use a regex for _id")
    return key
