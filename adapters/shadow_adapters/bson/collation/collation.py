"""What compares values: their byte keys as they are, or with a language's keys in the place of their texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bson.code import Code

from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.paths import as_document

TextKey = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Collation:
    """How values compare.

    ``equal`` gives keys that equal values share, ``order`` keys in their order. Both raise `CommandFailure` with
    ``unsupported`` for a text of which they cannot tell.
    """

    equal: Callable[[Any], bytes]
    order: Callable[[Any], bytes]


SIMPLE: Final = Collation(encode, encode)
"""Texts compare by their code points: no collation."""


def collation_of_keys(equal: TextKey, order: TextKey) -> Collation:
    """The collation whose texts compare by these keys."""
    return Collation(lambda value: encode(_replaced(value, equal)), lambda value: encode(_replaced(value, order)))


def _replaced(value: Any, key: TextKey) -> Any:
    """The value with the keys of its texts in their places. Names of fields stay: no collation is about them."""
    if isinstance(value, str):
        return value if isinstance(value, Code) else key(value)
    if isinstance(value, list | tuple):
        return [_replaced(element, key) for element in value]
    document = as_document(value)
    return value if document is None else {name: _replaced(inner, key) for name, inner in document.items()}


def has_text(value: Any) -> bool:
    """Whether a value is a text, or holds one."""
    if isinstance(value, str):
        return True
    if isinstance(value, list | tuple):
        return any(map(has_text, value))
    document = as_document(value)
    return document is not None and any(map(has_text, document.values()))
