"""Settings that travel with a flag, in one table: what a variant's payload or the configuration file may set.

They change how much is compared, never which store answers. A value that is not allowed is reported and left out, so
that the configured one stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    # name          allowed     in words
    "sample_rate": (_is_share, "a number from 0 to 1"),
    "rehearse": (_is_switch, "true or false"),
}


def read_settings(given: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The allowed settings among those given, and a problem, naming ``where``, for each of the others."""
    allowed: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in given.items():
        known = SETTINGS.get(name)
        if known is None:
            problems.append(f"{where}.{name}: no such setting; settings are {', '.join(SETTINGS)}")
        elif known[0](value):
            allowed[name] = value
        else:
            problems.append(f"{where}.{name}: must be {known[1]}, not {type(value).__name__}; ignored")
    return allowed, problems
