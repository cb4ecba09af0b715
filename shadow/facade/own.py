"""Which collections of a database are a façade's, whichever driver it is of."""

from __future__ import annotations

from typing import Any


def router_of(database: Any, name: Any) -> Any:
    """The router of a configured collection of a façade's database; None for any other."""
    if not isinstance(name, str):
        return None  # the driver refuses it
    return database._client._shadow_binding.router(database.name, name)


def owns(database: Any, name: Any) -> bool:
    """Whether a collection is a façade's: a configured one, or one that leads to such (`fs` to `fs.files`)."""
    if router_of(database, name) is not None:
        return True
    return isinstance(name, str) and database._client._shadow_binding.below(database.name, name)
