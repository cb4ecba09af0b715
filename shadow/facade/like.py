"""A façade's method with the driver's signature, to tools that look at it and to those that check types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from typing_extensions import TypeVar

D = TypeVar("D", bound=Mapping[str, Any], default=dict[str, Any])
"""The class of the documents that a client, and what comes from it, returns."""
M = TypeVar("M", bound=Callable[..., Any])


def like(method: M) -> Callable[[Callable[..., Any]], M]:
    """Gives a method the name, signature and documentation of the driver's method in whose place it stands."""

    def decorate(own: Callable[..., Any]) -> M:
        return cast("M", wraps(method)(own))

    return decorate
