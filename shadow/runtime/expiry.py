"""What a TTL index would let expire: deleted from new, where that is the authority."""

from __future__ import annotations

from bson.datetime_ms import DatetimeMS

from shadow.protocol.reads import write_fence
from shadow.protocol.view import View
from shadow.runtime.entity import Entity
from shadow_adapters.postgres.pool import Pool


async def expire(entity: Entity, view: View, pool: Pool, now: float) -> int:
    """Delete the documents of new that are past an index's expiry, as any caller would; the number.

    Args:
        view: under which new is the authority; legacy expires its own.
        now: the time, in seconds since the epoch.

    Raises `StoreError`.
    """
    deleted = 0
    async with pool.connection() as conn:
        entity.layout.forget()  # a process that only reads does not hear of indexes that others make
        await entity.layout.prepare(conn)
        for field, seconds in entity.layout.expiries().items():
            before = DatetimeMS(int(1000 * (now - seconds)))
            statement = {"q": {field: {"$lt": before}}, "limit": 0}
            command = {"delete": entity.collection, "deletes": [statement]}
            reply = await entity.engine.execute(conn, command, fence=write_fence(view))
            deleted += int(reply.get("n", 0))
    return deleted
