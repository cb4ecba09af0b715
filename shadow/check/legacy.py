"""The legacy store: whether it can serve, what deletes behind Shadow's back, and who else writes to it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from shadow.check.findings import Finding, error, note, warning
from shadow.config import EntitySettings, Settings
from shadow.stores import Mongo
from shadow.strangers import strangers

_UNSEEN = "run a tail, or delete through Shadow"


async def check_legacy(settings: Settings, client: Mongo, entities: list[EntitySettings]) -> list[Finding]:
    """Everything about MongoDB. Raises pymongo's errors when it cannot be reached."""
    findings = await _topology(client)
    for entity in entities:
        findings += await _collection(client, entity)
    findings += _idle_patterns(settings, entities)
    return findings + await _strangers(client, waived="clients" in settings.gates.waived)


async def _topology(client: Mongo) -> list[Finding]:
    hello = await client.admin.command("hello")
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        return []
    return [
        warning("stores.mongo", "is a standalone server, without transactions or change streams", "use a replica set")
    ]


async def _collection(client: Mongo, entity: EntitySettings) -> list[Finding]:
    where = f"entities.{entity.name}.legacy.mongo"
    database, _, name = (entity.legacy.mongo or "").partition(".")
    cursor = await client[database].list_collections(filter={"name": name})
    found = await cursor.to_list()
    if not found:
        return [await _absent(client, where, database, name)]
    findings = _kind(where, found[0])
    if not findings:
        async for index in await client[database][name].list_indexes():
            if "expireAfterSeconds" in index:
                what = f"the index {index['name']} deletes documents behind Shadow's back"
                findings.append(warning(where, what, _UNSEEN))
    return findings


async def _absent(client: Mongo, where: str, database: str, name: str) -> Finding:
    near = get_close_matches(name, await client[database].list_collection_names(), n=1)
    fix = f"did you mean {database}.{near[0]}?" if near else "correct it, unless it is still to come"
    return warning(where, "the collection does not exist", fix)


def _kind(where: str, collection: Mapping[str, Any]) -> list[Finding]:
    if collection.get("type", "collection") != "collection":
        return [error(where, f"is a {collection['type']}, which has no records of its own", "name its source instead")]
    options = collection.get("options", {})
    if options.get("collation", {}).get("locale", "simple") != "simple":
        what = "has a collation of its own, under which new does not compare keys and texts"
        return [error(where, what, "name the collation in each call, and make the collection anew without one")]
    if options.get("capped"):
        return [warning(where, "is capped: the server deletes documents behind Shadow's back", _UNSEEN)]
    return []


def _idle_patterns(settings: Settings, entities: list[EntitySettings]) -> list[Finding]:
    return [
        warning(f"entities.{pattern.name}.legacy.mongo", "the pattern covers no collection now", "correct it, or wait")
        for pattern in settings.entities.values()
        if pattern.legacy.is_pattern and not any(entity.name.startswith(f"{pattern.name}.") for entity in entities)
    ]


async def _strangers(client: Mongo, *, waived: bool) -> list[Finding]:
    """Clients that are not Shadow's: what they write is not marked."""
    seen = await strangers(client)
    if seen is None:
        fix = "grant the user the role clusterMonitor"
        return [warning("stores.mongo", "who else uses the server cannot be seen", fix)]
    named = [f"a client that is not Shadow's: {name} ({count} connections)" for name, count in sorted(seen.items())]
    if waived:
        return [note("stores.mongo", f"{what}, which is waived") for what in named]
    fix = 'stop it, or let the gate pass with waived = ["clients"] under [gates]'
    return [warning("stores.mongo", what, fix) for what in named] or [
        note("stores.mongo", "no client but Shadow's own was seen")
    ]
