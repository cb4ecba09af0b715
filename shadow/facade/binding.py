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


def named(options: dict[str, Any]) -> dict[str, Any]:
    """A client's options under which its connections are known as Shadow's, beside what the caller named them."""
    given = options.get("driver")
    if given is None:
        return {**options, "driver": DriverInfo("Shadow", shadow.__version__)}
    if not isinstance(given, DriverInfo):
        return options
    version = f"{given.version or ''}|{shadow.__version__}"
    return {**options, "driver": DriverInfo(f"{given.name}|Shadow", version, given.platform)}
