"""`SyncSession` over a server in memory: a connection that holds its keys' locks until it is released or dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from typing import TypeVar
from uuid import UUID

from shadow_adapters.contract import Captured, Key, MarkId, NewMark, Record
from shadow_adapters.failures import Refused, StoreDown
from shadow_adapters.memory.network import Link
from shadow_adapters.memory.server import MemoryServer

T = TypeVar("T")

LINGER = 2.0
"""Seconds for which the server works on what was sent over a connection that its client has given up."""


class MemorySession:
    """One connection. A request on it is applied in the order of sending, or not at all once it is dead."""

    def __init__(self, server: MemoryServer, me: UUID, *, settle_seconds: float, link: Link) -> None:
        self._server = server
        self._me = me
        self._settle = settle_seconds
        self._link = link
        self._connection = server.connect(me)
        self._unanswered = 0

    async def capture(
        self, entity: str, term: int, mine: Mapping[Key, Sequence[int]], *, put_marks: Mapping[Key, int] | None = None
    ) -> Captured | None:
        names = [(entity, key) for key in mine]
        granted = await self._request(lambda: self._server.locks.request(self._connection, names))
        await granted
        return await self._run(lambda: self._captured(entity, term, mine, put_marks))

    async def put(self, entity: str, term: int, states: Mapping[Key, Record | None], close: Sequence[MarkId]) -> bool:
        def work() -> bool:
            if not self._server.enter(entity, term):
                return False
            self._server.put_records(entity, states)
            self._server.close_marks(close)
            return True

        return await self._run(work)

    async def close(self, close: Sequence[MarkId]) -> bool:
        if not self._connection.alive:
            return False
        await self._run(lambda: self._server.close_marks(close))
        return True

    async def release(self) -> None:
        if self._unanswered:
            loop = asyncio.get_running_loop()
            loop.call_later(LINGER, self._server.disconnect, self._connection, context=Context())
        else:
            self._server.disconnect(self._connection)

    # -- the server's side

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._request(lambda: self._server.run(work, durable=False))

    async def _request(self, work: Callable[[], T]) -> T:
        def apply() -> T:
            if not self._connection.alive:
                raise StoreDown("the connection was lost")
            return work()

        self._unanswered += 1
        try:
            result = await self._link.call(apply)
        except Refused:  # which is an answer
            self._unanswered -= 1
            raise
        self._unanswered -= 1
        return result

    def _captured(
        self, entity: str, term: int, mine: Mapping[Key, Sequence[int]], put_marks: Mapping[Key, int] | None
    ) -> Captured | None:
        server = self._server
        if not server.enter(entity, term):
            return None
        own = {key: {MarkId(self._me, seq) for seq in seqs} for key, seqs in mine.items()}
        closable = {key: self._closable(entity, key, ids) for key, ids in own.items()}
        alone = frozenset(key for key, ids in own.items() if self._alone(entity, key, ids))
        if put_marks is None:
            return Captured(closable, alone)
        server.open_marks(self._me, [NewMark(seq, entity, key) for key, seq in put_marks.items()])
        return Captured(closable, alone, server.records_of(entity, mine))

    def _closable(self, entity: str, key: Key, own: Iterable[MarkId]) -> tuple[MarkId, ...]:
        rows = [row for row in self._server.open_of(entity) if row.key == key]
        return tuple(row.id for row in rows if row.id in own or self._server.settled(row, self._settle))

    def _alone(self, entity: str, key: Key, own: Iterable[MarkId]) -> bool:
        """Whether no mark but the caller's was open since the oldest of the caller's was opened."""
        marks = self._server.marks.rows
        opened = [marks[mark_id].opened_at for mark_id in own if mark_id in marks]
        if not opened or self._server.owed_since(entity, min(opened)):
            return False
        since = min(opened)
        for row in marks.values():
            if row.entity != entity or row.id in own:
                continue
            if row.key == key and (row.closed_at is None or row.closed_at >= since):
                return False
            if row.key is None and row.open:
                return False
        return True
