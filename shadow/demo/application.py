"""The demo's application: a service for agents, written against plain Motor.

It is handed a client, `motor.motor_asyncio.AsyncIOMotorClient` or Shadow's in its place, and cannot tell which. Each
method makes one call of the driver; a hand-over is a transaction. ``python -m shadow.demo.application URI DATABASE
SECONDS`` uses it for a while by itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from random import Random
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument

from shadow.demo import shapes
from shadow.demo.shapes import now

Document = dict[str, Any]

COLLECTIONS = ("agents", "workflows", "audit_logs", "memory_snapshots", "sessions", "knowledge")


class Application:
    """The service over one database. Every method raises the driver's own exceptions."""

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        self._db = client[database]

    # -- any collection
    async def get(self, collection: str, id: Any) -> Document | None:
        """One document by its ``_id``."""
        found: Document | None = await self._db[collection].find_one({"_id": id})
        return found

    async def add(self, collection: str, document: Document) -> None:
        """Insert a document."""
        await self._db[collection].insert_one(document)

    async def remove(self, collection: str, id: Any) -> int:
        """Delete a document; how many were."""
        return int((await self._db[collection].delete_one({"_id": id})).deleted_count)

    async def change(self, collection: str, id: Any, update: Document) -> int:
        """Apply an update to one document; how many matched."""
        return int((await self._db[collection].update_one({"_id": id}, update)).matched_count)

    # -- queries
    async def workflows_in(self, status: str) -> list[Document]:
        """The ten newest workflows of a status."""
        cursor = self._db["workflows"].find({"status": status}).sort("created_at", DESCENDING).limit(10)
        return list(await cursor.to_list(10))

    async def workflow_count(self, status: str) -> int:
        """How many workflows have a status."""
        return int(await self._db["workflows"].count_documents({"status": status}))

    async def events(self, kind: str, actor: str) -> list[Document]:
        """An actor's last twenty events of a kind."""
        found = self._db["audit_logs"].find({"event_type": kind, "actor": actor})
        return list(await found.sort([("created_at", DESCENDING), ("_id", ASCENDING)]).limit(20).to_list(20))

    async def memories(self, agent_id: Any) -> list[Document]:
        """An agent's last five snapshots."""
        found = self._db["memory_snapshots"].find({"agent_id": agent_id})
        return list(await found.sort("created_at", DESCENDING).limit(5).to_list(5))

    async def expiring(self) -> list[Document]:
        """The sessions that expire next."""
        found = self._db["sessions"].find({"expires_at": {"$gt": now(), "$lt": now() + timedelta(hours=1)}})
        return list(await found.sort("expires_at", ASCENDING).limit(10).to_list(10))

    async def contents(self, module: str) -> list[Document]:
        """What a module documents: the longest texts first, without the texts."""
        found = self._db["knowledge"].find({"module": module}, {"text": 0, "notes": 0})
        return list(await found.sort([("words", DESCENDING), ("_id", ASCENDING)]).limit(10).to_list(10))

    # -- writes that choose, and writes that belong together
    async def claim(self) -> Document | None:
        """Take the oldest workflow that waits; None where none does."""
        taken: Document | None = await self._db["workflows"].find_one_and_update(
            {"status": "queued"},
            {"$set": {"status": "running"}, "$inc": {"runs": 1}},
            sort=[("created_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return taken

    async def hand_over(self, ended: Any, begun: Any) -> None:
        """End one workflow and begin another, both or neither."""
        workflows = self._db["workflows"]
        async with await self._client.start_session() as session, session.start_transaction():
            await workflows.update_one({"_id": ended}, {"$set": {"status": "done"}}, session=session)
            await workflows.update_one(
                {"_id": begun}, {"$set": {"status": "running"}, "$inc": {"runs": 1}}, session=session
            )


async def serve(uri: str, database: str, seconds: float) -> int:
    """Use the service with plain Motor for so long; how many calls were made. Raises the driver's exceptions."""
    from motor.motor_asyncio import AsyncIOMotorClient  # whatever bears the driver's name in this process

    client: Any = AsyncIOMotorClient(uri)
    application = Application(client, database)
    rng, ends, calls = Random(), time.monotonic() + seconds, 0
    try:
        while time.monotonic() < ends:
            session = shapes.session(rng)
            await application.add("sessions", session)
            await application.change("sessions", session["_id"], {"$inc": {"data.hits": 1}})
            if (await application.get("sessions", session["_id"]) or {})["data"]["hits"] != session["data"]["hits"] + 1:
                raise AssertionError("a read missed a write that had been acknowledged")
            await application.add("workflows", shapes.workflow(rng, "queued"))
            await application.claim()
            await application.workflows_in("running")
            await application.workflow_count("queued")
            calls += 7
            await asyncio.sleep(0.02)
    finally:
        client.close()
    return calls


if __name__ == "__main__":
    print(asyncio.run(serve(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
