"""Values made fit to be seen: structure and field names stay, each value becomes its type and a short keyed hash.

The hash's salt is drawn per process and never leaves it, so that a value cannot be guessed from its hash, while equal
values of one process still look equal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from shadow.compare.failure import describe
from shadow.compare.wire import bson_type, wire

_SALT = secrets.token_bytes(16)
_SHOWN = 200  # characters of a value that is shown in clear


def redact(value: Any) -> Any:
    """The value with every leaf replaced by ``type:hash``; documents and arrays keep their shape and field names.

    An exception becomes its class and code, without its text.
    """
    return _shape(value, _hidden)


def reveal(value: Any) -> Any:
    """The value with every leaf replaced by ``type:repr``, so that 1 and 1.0 and Int64(1) can be told apart."""
    return _shape(value, _shown)


def key_hash(key: bytes | None) -> str:
    """The short keyed hash of a record's key, for logs of this process; ``-`` where there is none."""
    return "-" if key is None else _hash(key)


def _shape(value: Any, leaf: Callable[[Any], str]) -> Any:
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, Mapping):
        return {name: _shape(inner, leaf) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shape(inner, leaf) for inner in value]
    return leaf(value)


def _hidden(value: Any) -> str:
    return "null" if value is None else f"{bson_type(value)}:{_hash(wire(value))}"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{bson_type(value)}:{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}"


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=4, key=_SALT).hexdigest()
