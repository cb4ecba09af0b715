"""A sync's session: a held connection on which keys are locked, captured, put and closed."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from shadow_adapters.contract import Captured, Key, MarkId, Record
from shadow_adapters.failures import Refused, StoreDown
from shadow_adapters.postgres.control.connections import DOWN, Connection, Connections
from shadow_adapters.postgres.control.queries import sql


class PutPlan(Protocol):
    """The layout's part of a put: CTEs that change nothing unless ``(SELECT ok FROM fence)``."""

    @property
    def ctes(self) -> str: ...

    @property
    def args(self) -> Sequence[Any]: ...


class PutTable(Protocol):
    """What a session needs of an entity's layout."""

    async def prepare(self, conn: Connection) -> None: ...

    def plan_put(self, states: Mapping[Key, Record | None], first: int) -> PutPlan: ...

    async def read(self, conn: Connection, keys: Sequence[Key]) -> dict[Key, Record]: ...

    async def holders(self, conn: Connection, error: Exception) -> tuple[Key, ...]:
        """Keys of the records that stand in the way of a unique violation; none for any other error."""

    def refusal(self, error: Exception, states: Mapping[Key, Record | None]) -> Exception | None:
        """`Refused` for a database error that a record caused, None for every other error."""


@functools.cache
def _salt(entity: str) -> bytes:
    return hashlib.blake2b(entity.encode(), digest_size=16).digest()


def lock_id(entity: str, key: Key) -> int:
    """The advisory lock of one key: 64 bits of a hash, the same in every process."""
    digest = hashlib.blake2b(key, digest_size=8, person=b"shadow.key", salt=_salt(entity))
    return int.from_bytes(digest.digest(), "big", signed=True)


class PostgresSession:
    """`SyncSession` over one connection. The locks are session-level: they go with the connection."""

    def __init__(
        self, connections: Connections, conn: Connection, me: UUID, tables: Mapping[str, PutTable], settle: float
    ) -> None:
        self._connections = connections
        self._conn = conn
        self._me = me
        self._tables = tables
        self._settle = settle
        self._locked = False

    async def capture(
        self, entity: str, term: int, mine: Mapping[Key, Sequence[int]], *, put_marks: Mapping[Key, int] | None = None
    ) -> Captured | None:
        keys = list(mine)
        own = [(key, seq) for key, seqs in mine.items() for seq in seqs]
        self._locked = True
        rows = await self._fetch(
            "SELECT * FROM shadow.capture($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            entity,
            term,
            self._me,
            sorted(lock_id(entity, key) for key in keys),
            keys,
            [key for key, _ in own],
            [seq for _, seq in own],
            [put_marks[key] for key in keys] if put_marks is not None else None,
            self._settle,
        )
        if not rows:
            return None
        closable: dict[Key, list[MarkId]] = {key: [] for key in keys}
        alone = set()
        for key, owner, seq, is_alone in rows[1:]:
            if owner is not None:
                closable[key].append(MarkId(owner, seq))
            if is_alone:
                alone.add(key)
        records = await self._tables[entity].read(self._conn, keys) if put_marks is not None else {}
        return Captured({key: tuple(ids) for key, ids in closable.items()}, frozenset(alone), records)

    async def put(self, entity: str, term: int, states: Mapping[Key, Record | None], close: Sequence[MarkId]) -> bool:
        table = self._tables[entity]
        await self._prepare(table)
        plan = table.plan_put(states, 5)
        statement = (
            f"WITH fence AS MATERIALIZED (SELECT shadow.enter($3, $4) AS ok), {plan.ctes}, "
            f"closed AS ({sql.close} AND (SELECT ok FROM fence)) SELECT ok FROM fence"
        )
        try:
            rows = await self._fetch(
                statement, [i.owner for i in close], [i.seq for i in close], entity, term, *plan.args
            )
        except StoreDown:
            raise
        except Exception as error:
            refused = table.refusal(error, states)
            if refused is None:
                raise
            if isinstance(refused, Refused) and not refused.conflicts:
                refused.conflicts = await table.holders(self._conn, error)
            raise refused from error
        return bool(rows[0][0])

    async def close(self, close: Sequence[MarkId]) -> bool:
        if self._conn.is_closed():
            return False
        await self._fetch(sql.close, [i.owner for i in close], [i.seq for i in close])
        return True

    async def release(self) -> None:
        """Unlock and give the connection back; drop it where that cannot be said for sure."""
        try:
            if self._locked:
                await self._conn.execute("SELECT pg_advisory_unlock_all()")
        except BaseException as error:
            self._connections.drop(self._conn)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self._connections.give(self._conn)

    async def _prepare(self, table: PutTable) -> None:
        try:
            await table.prepare(self._conn)
        except DOWN as error:
            self._conn.terminate()
            raise StoreDown(f"PostgreSQL: {type(error).__name__}") from error

    async def _fetch(self, statement: str, *args: object) -> list[tuple[Any, ...]]:
        try:
            return await self._conn.fetch(statement, *args)  # type: ignore[no-any-return]
        except DOWN as error:
            self._conn.terminate()
            raise StoreDown(f"PostgreSQL: {type(error).__name__}") from error
        except asyncio.CancelledError:
            self._conn.terminate()
            raise
