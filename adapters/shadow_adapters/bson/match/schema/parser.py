"""From a schema to a predicate: the table of keywords, and the walk that looks them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.match.schema.arguments import Keyword
from shadow_adapters.bson.match.schema.arrays import ARRAYS
from shadow_adapters.bson.match.schema.logical import LOGICAL
from shadow_adapters.bson.match.schema.objects import OBJECTS
from shadow_adapters.bson.match.schema.scalars import SCALARS
from shadow_adapters.bson.match.test import every
from shadow_adapters.bson.paths import Predicate
from shadow_adapters.failures import CommandFailure

KEYWORDS: Final[dict[str, Keyword]] = SCALARS | ARRAYS | OBJECTS | LOGICAL
_NOT_MONGODBS: Final = frozenset(("$ref", "$schema", "default", "definitions", "format", "id"))
_ENCRYPTION: Final = frozenset(("encrypt", "encryptMetadata"))


def parse_schema(schema: Mapping[str, Any]) -> Predicate:
    """Whether a value is as the schema says. Raises `CommandFailure`; see `compile_schema`."""
    for name in schema:
        if name in _ENCRYPTION:
            raise CommandFailure(9, f"$jsonSchema keyword '{name}' is not served", unsupported=f"$jsonSchema {name}")
        if name in _NOT_MONGODBS:
            raise CommandFailure(9, f"$jsonSchema keyword '{name}' is not currently supported")
        if name not in KEYWORDS:
            raise CommandFailure(9, f"Unknown $jsonSchema keyword: {name}")
    return every([KEYWORDS[name](name, argument, schema, parse_schema) for name, argument in schema.items()])
