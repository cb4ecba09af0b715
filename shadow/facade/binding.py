"""Ties a façade's client to the runtime when the first collection is asked for, not when the client is made."""

from __future__ import annotations

from typing import Any

from pymongo.driver_info import DriverInfo

import shadow
from shadow.facade.contract import Binding


def attach(kind: str, client: Any) -> Binding:
    """The client's binding. ``kind`` is ``motor`` or ``pymongo``."""
    # Only an application that uses a façade needs the runtime, and the runtime needs the façades' contract.
    from shadow import runtime

    binding: Binding = runtime.attach(kind, client)
    return binding


_SHADOW = DriverInfo("Shadow", shadow.__version__)


def named(driver_client: type, options: dict[str, Any]) -> dict[str, Any]:
    """A client's options under which an older driver's connections are known as Shadow's. See `name_connections`."""
    if hasattr(driver_client, "append_metadata") or "driver" in options:
        return options
    return {**options, "driver": _SHADOW}


def name_connections(core: Any) -> None:
    """Make PyMongo's client name its connections as Shadow's, beside what the caller named them."""
    if hasattr(type(core), "append_metadata"):
        core.append_metadata(_SHADOW)
