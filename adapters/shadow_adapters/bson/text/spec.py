"""A text index's specification, completed into the form in which MongoDB keeps and lists it.

Source: MongoDB's ``FTSSpec::fixSpec``, whose mistakes all have the code of CannotCreateIndex.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from shadow_adapters.bson.text.definition import WILDCARD
from shadow_adapters.bson.text.language import language
from shadow_adapters.failures import CommandFailure

OPTIONS: Final = frozenset(("weights", "default_language", "language_override", "textIndexVersion"))
"""What a text index alone may have."""

_CODE: Final = 67
_VERSION: Final = 3
_MOST: Final = 100_000
_RESERVED: Final = ("_fts", "_ftsx")


def is_text(key: Mapping[str, Any]) -> bool:
    """Whether the key is a text index's."""
    return any(kind == "text" for kind in key.values())


def completed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The specification with its key, weights and options as they are listed; one that is already is left alone.

    Raises `CommandFailure` 67, with ``unsupported`` for what MongoDB has and this store has not.
    """
    weights = _weights(spec)
    key = _key(spec["key"])
    spoken = spec.get("default_language", "english")
    if not isinstance(spoken, str):
        raise CommandFailure(_CODE, "default_language needs a string type")
    language(spoken, code=_CODE, mistake="default_language is not valid")
    override = spec.get("language_override", "language")
    if not isinstance(override, str) or not override or override.startswith("$") or "." in override:
        raise CommandFailure(_CODE, "language_override is not valid")
    version = spec.get("textIndexVersion", _VERSION)
    if version != _VERSION:
        unsupported = f"textIndexVersion {version}" if version in (1, 2) else None
        raise CommandFailure(_CODE, f"bad textIndexVersion: {version}", unsupported=unsupported)
    for option in ("unique", "partialFilterExpression"):
        if spec.get(option):
            raise CommandFailure(_CODE, f"a text index with {option} is not served", unsupported=f"text {option}")
    own = {"key": key, "weights": weights, "default_language": spoken, "language_override": override}
    kept = {name: own.get(name, value) for name, value in spec.items() if name != "textIndexVersion"}
    return {**kept, **{name: value for name, value in own.items() if name not in kept}, "textIndexVersion": _VERSION}


def _key(key: Mapping[str, Any]) -> dict[str, Any]:
    """The key, with ``_fts`` and ``_ftsx`` in the place of the texts, which stand beside each other."""
    fixed = "_fts" in key
    if fixed and (key["_fts"] != "text" or list(key).index("_fts") + 1 != _place(key, "_ftsx") or key["_ftsx"] != 1):
        raise CommandFailure(_CODE, "expected _ftsx after _fts")
    texts = [place for place, kind in enumerate(key.values()) if kind == "text"]
    if texts[-1] - texts[0] + 1 != len(texts):
        raise CommandFailure(_CODE, "'text' fields in index must all be adjacent")
    found: dict[str, Any] = {}
    for path, kind in key.items():
        if kind == "text":
            found |= {"_fts": "text", "_ftsx": 1}
        if path in _RESERVED and not fixed:
            raise CommandFailure(_CODE, "text index with reserved fields _fts/_ftsx not allowed")
        if kind != "text" and path != "_ftsx":
            found[path] = kind
    return found


def _place(key: Mapping[str, Any], name: str) -> int:
    return list(key).index(name) if name in key else -1


def _weights(spec: Mapping[str, Any]) -> dict[str, int]:
    """The weight of each field, in the order of their names."""
    given = spec.get("weights", {})
    if given == WILDCARD:
        given = {WILDCARD: 1}
    if not isinstance(given, Mapping):
        raise CommandFailure(_CODE, "text index option 'weights' must be an object")
    found: dict[str, int] = {path: 1 for path, kind in spec["key"].items() if kind == "text" and path != "_fts"}
    for path, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise CommandFailure(_CODE, "weight for text index needs numeric type")
        found[path] = int(weight) if isfinite(weight) else 0
    if not found:
        raise CommandFailure(_CODE, "text index option 'weights' must specify fields or the wildcard")
    for path, weight in found.items():
        if not 0 < weight < _MOST:
            text = f"text index weight must be in the exclusive interval (0,{_MOST}) but found: {weight}"
            raise CommandFailure(_CODE, text)
        if path != WILDCARD and any(not part or part.startswith("$") for part in path.split(".")):
            raise CommandFailure(_CODE, "weight cannot have an empty path component, or one with $ prefix")
    return dict(sorted(found.items()))
