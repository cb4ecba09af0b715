"""``$jsonSchema``: whether a document is as a JSON Schema (draft 4, with MongoDB's omissions and ``bsonType``) says.

A keyword says something of values of its own type and lets all others pass.
"""

from __future__ import annotations

from typing import Any

from shadow_adapters.bson.limits import check_depth
from shadow_adapters.bson.match.schema.parser import parse_schema
from shadow_adapters.bson.paths import Predicate, as_document
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

__all__ = ["compile_schema"]


def compile_schema(spec: Any) -> Predicate:
    """Whether a value is as the schema says.

    Raises `CommandFailure`: 14 for what is of the wrong type, 9 for keywords that are unknown or not MongoDB's and for
    what they cannot be given, 2 for a type that is none, with ``unsupported`` for encryption.
    """
    schema = as_document(spec)
    if schema is None:
        raise CommandFailure(14, f"$jsonSchema must be an object, but found an element of type {type_name(spec)}")
    check_depth(schema)
    return parse_schema(schema)
