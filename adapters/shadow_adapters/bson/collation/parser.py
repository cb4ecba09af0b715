"""From a collation's specification to the collation: what is served, what is a mistake, what is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Final, NoReturn

from shadow_adapters.bson.collation.collation import SIMPLE, Collation, collation_of_keys
from shadow_adapters.bson.collation.equality import equality_key
from shadow_adapters.bson.collation.levels import Levels
from shadow_adapters.bson.collation.order import order_key
from shadow_adapters.bson.types import is_number, type_name
from shadow_adapters.failures import CommandFailure

LOCALES: Final = frozenset(("en", "en_US", "de", "fr", "id", "it", "ms", "nl", "pt", "sw"))
"""Languages that sort as Unicode's root collation does, with nothing of their own."""

_DEFAULTS: Final[Mapping[str, Any]] = {
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 3,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
    "version": "57.1",
}
"""Options in the order, of the types and with the values of MongoDB 8.0.

``maxVariable`` and ``normalization`` are without effect: nothing is ignorable, and all texts are taken as normal.
"""
_ONLY: Final = ("caseFirst", "alternate", "backwards")
"""Options of which nothing but the default is served."""
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "caseFirst": frozenset(("off", "upper", "lower")),
    "alternate": frozenset(("non-ignorable", "shifted")),
    "maxVariable": frozenset(("punct", "space")),
}


def compile_collation(spec: Any) -> Collation:
    """The collation of a command's ``collation``; `SIMPLE` where there is none.

    Raises `CommandFailure`: 14, 2, 40414 and 40415 for mistakes, and 2 with ``unsupported`` for a locale whose rules
    are not known here, a strength above 3, and options that are not served.
    """
    if spec is None or spec == {}:
        return SIMPLE
    if not isinstance(spec, Mapping):
        raise CommandFailure(14, f"BSON field 'collation' is the wrong type '{type_name(spec)}', expected 'object'")
    locale = spec.get("locale")
    if locale is None:
        raise CommandFailure(40414, "BSON field 'collation.locale' is missing but a required field")
    if not isinstance(locale, str):
        _wrong_type("locale", locale)
    strength = _strength(spec)
    for name, value in spec.items():
        if name not in ("locale", "strength"):
            _check_option(name, value)
    if locale == "simple":
        if len(spec) > 1:
            raise CommandFailure(2, "collation with locale 'simple' takes no other options")
        return SIMPLE
    if locale not in LOCALES:
        _refuse(f"locale {locale}")
    return _of_levels(Levels(strength, bool(spec.get("caseLevel")), bool(spec.get("numericOrdering"))))


def completed_collation(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A collation that is served, with all that it leaves out, as MongoDB lists it of an index."""
    return {"locale": spec["locale"], **{name: spec.get(name, value) for name, value in _DEFAULTS.items()}}


@cache
def _of_levels(levels: Levels) -> Collation:
    return collation_of_keys(partial(equality_key, levels), partial(order_key, levels))


def _strength(spec: Mapping[str, Any]) -> int:
    value = spec.get("strength", _DEFAULTS["strength"])
    if not is_number(value):
        _wrong_type("strength", value)
    if value not in (1, 2, 3, 4, 5):
        raise CommandFailure(2, f"Enumeration value '{value}' for field 'collation.strength' is not a valid value.")
    if value > 3:
        _refuse(f"strength {int(value)}")
    return int(value)


def _check_option(name: str, value: Any) -> None:
    if name not in _DEFAULTS:
        raise CommandFailure(40415, f"BSON field 'collation.{name}' is an unknown field.")
    if not isinstance(value, type(_DEFAULTS[name])):
        _wrong_type(name, value)
    if name in _WORDS and value not in _WORDS[name]:
        raise CommandFailure(2, f"Enumeration value '{value}' for field 'collation.{name}' is not a valid value.")
    if name in _ONLY and value != _DEFAULTS[name]:
        _refuse(f"{name} {value}")


def _wrong_type(name: str, value: Any) -> NoReturn:
    raise CommandFailure(14, f"BSON field 'collation.{name}' is the wrong type '{type_name(value)}'")


def _refuse(what: str) -> NoReturn:
    raise CommandFailure(2, f"collation with {what} is not served", unsupported=f"collation {what}")
