"""Who else uses the legacy store: what a client that is not Shadow's writes is not marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure

from shadow.stores import DRIVER_NAME, Mongo

_SERVERS_OWN = {"NetworkInterfaceTL", "MongoDB Internal Client"}


async def strangers(client: Mongo) -> Counter[str] | None:
    """The connections of each client that is not Shadow's; None where the user may not see them.

    Raises pymongo's errors when the server cannot be reached.
    """
    try:
        reply = await client.admin.command({"currentOp": 1, "$all": True})  # idle connections too
    except OperationFailure:
        return None
    return Counter(name for operation in reply["inprog"] if (name := stranger(operation)))


async def in_the_way(client: Mongo) -> list[str]:
    """The same as the gate to ``dual_write`` names them. Raises pymongo's errors when the server cannot be reached."""
    found = await strangers(client)
    return ["some that cannot be seen (grant the user the role clusterMonitor)"] if found is None else sorted(found)


def stranger(operation: Mapping[str, Any]) -> str | None:
    """Who a line of ``currentOp`` belongs to, if that is neither Shadow nor the server itself."""
    metadata = operation.get("clientMetadata", {})
    driver = metadata.get("driver", {}).get("name", "")
    if not driver or driver in _SERVERS_OWN or DRIVER_NAME in driver.split("|"):
        return None
    host = str(operation.get("client", "")).rpartition(":")[0]
    application = operation.get("appName") or metadata.get("application", {}).get("name")
    return " ".join(part for part in (application, driver, host and f"from {host}") if part)
