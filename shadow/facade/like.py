"""A façade's method with the driver's signature, to tools that look at it and to those that check types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from typing_extensions import TypeVar

D = TypeVar("D", bound=Mapping[str, Any], default=dict[str, Any])
"""The class of the documents that a client, and what comes from it, returns."""
C = TypeVar("C")
M = TypeVar("M", bound=Callable[..., Any])


def documented_as(driver: type) -> Callable[[type[C]], type[C]]:
    """Gives each public method of a class the documentation of the driver's method of its name."""

    def decorate(own: type[C]) -> type[C]:
        for name, method in vars(own).items():
            if not name.startswith("_") and callable(method):
                method.__doc__ = getattr(driver, name).__doc__
        return own

    return decorate


def like(method: M) -> Callable[[Callable[..., Any]], M]:
    """Gives a method the name, signature and documentation of the driver's method in whose place it stands."""

    def decorate(own: Callable[..., Any]) -> M:
        return cast("M", wraps(method)(own))

    return decorate
