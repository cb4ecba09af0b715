"""What the contract suite of control runs on: the server in memory, and PostgreSQL with one small table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from shadow_adapters.contract import Control, Fence, Key, Record, SyncSession
from shadow_adapters.failures import Refused
from shadow_adapters.memory.control import MemoryControl
from shadow_adapters.memory.server import MemoryServer
from shadow_adapters.memory.session import MemorySession
from shadow_adapters.memory.stores import MemoryNew
from shadow_adapters.postgres.control import PostgresControl, outbox_statements, schema_statements
from shadow_adapters.postgres.control.session import PostgresSession

ENTITY = "things"
TOO_LONG = b"x" * 200
"""A record that new refuses in both backends."""


class Backend(Protocol):
    """One server, seen from outside."""

    def control(self, me: UUID, settle_seconds: float = 3600.0) -> Control:
        """A client of the server."""

    def unreachable(self, me: UUID) -> Control:
        """A client whose server is away."""

    async def restart(self) -> None:
        """A crash: every connection dies, and the generation changes."""

    async def disconnect(self, client: Control | SyncSession) -> None:
        """The server loses the connection of a session, or the one with which a control conducts."""

    async def write_new(self, term: int, key: Key, record: Record) -> None:
        """A write of an application on new."""

    async def records(self) -> dict[Key, Record]:
        """New's records."""

    async def readable(self, epoch: int, key: Key | None, stale_after: float | None) -> bool:
        """Whether new may answer a read."""


class InMemory:
    """`Backend` over `MemoryServer`."""

    def __init__(self) -> None:
        self.server = MemoryServer()
        self.server.refuses = lambda record: "too long" if len(record) > 100 else None

    def control(self, me: UUID, settle_seconds: float = 3600.0) -> Control:
        return MemoryControl(self.server, me, settle_seconds=settle_seconds)

    def unreachable(self, me: UUID) -> Control:
        away = MemoryServer()
        away.crash()
        return MemoryControl(away, me, settle_seconds=3600.0)

    async def restart(self) -> None:
        self.server.crash()
        self.server.start()

    async def disconnect(self, client: Control | SyncSession) -> None:
        assert isinstance(client, MemorySession | MemoryControl)
        held = client._connection if isinstance(client, MemorySession) else client._conducting
        assert held is not None
        self.server.disconnect(held)

    async def write_new(self, term: int, key: Key, record: Record) -> None:
        await MemoryNew(self.server, ENTITY).change_fenced(Fence(ENTITY, term), {key: lambda _: record})

    async def records(self) -> dict[Key, Record]:
        return {key: record for (_, key), record in self.server.records.rows.items()}

    async def readable(self, epoch: int, key: Key | None, stale_after: float | None) -> bool:
        return self.server.readable(ENTITY, epoch, key, stale_after)


@dataclass
class Plan:
    ctes: str
    args: Sequence[object]


class SmallTable:
    """The layout of one table of keys and short records."""

    table = "public.things"
    ddl = "CREATE TABLE public.things (k bytea PRIMARY KEY, doc bytea CHECK (length(doc) <= 100))"

    def key_sql(self, row: str) -> str:
        return f"{row}.k"

    async def prepare(self, conn: Any) -> None:
        """Nothing of the connection depends on this table."""

    def plan_put(self, states: Mapping[Key, Record | None], first: int) -> Plan:
        ctes = (
            f"put_all AS (SELECT k, doc FROM unnest(${first}::bytea[], ${first + 1}::bytea[]) AS u(k, doc) "
            "WHERE (SELECT ok FROM fence)), "
            f"put_rows AS (INSERT INTO {self.table} SELECT k, doc FROM put_all WHERE doc IS NOT NULL "
            "ON CONFLICT (k) DO UPDATE SET doc = excluded.doc), "
            f"put_gone AS (DELETE FROM {self.table} t USING put_all u WHERE t.k = u.k AND u.doc IS NULL)"
        )
        return Plan(ctes, [list(states), list(states.values())])

    async def read(self, conn: Any, keys: Sequence[Key]) -> dict[Key, Record]:
        return dict(await conn.fetch(f"SELECT k, doc FROM {self.table} WHERE k = ANY($1)", list(keys)))

    async def holders(self, conn: Any, error: Exception) -> tuple[Key, ...]:
        return ()

    def refusal(self, error: Exception, states: Mapping[Key, Record | None]) -> Exception | None:
        if not isinstance(error, asyncpg.CheckViolationError):
            return None
        long = next(key for key, record in states.items() if record is not None and len(record) > 100)
        return Refused("too long", kind="check", key=long)


class InPostgres:
    """`Backend` over a database of its own. Made by `start`."""

    def __init__(self, dsn: str, conn: asyncpg.Connection[asyncpg.Record]) -> None:
        self._dsn = dsn
        self._conn = conn
        self._controls: list[PostgresControl] = []

    @staticmethod
    async def start(dsn: str) -> InPostgres:
        conn = await asyncpg.connect(dsn)
        for statement in [*schema_statements(), SmallTable.ddl, *outbox_statements(ENTITY, SmallTable())]:
            await conn.execute(statement)
        return InPostgres(dsn, conn)

    async def stop(self) -> None:
        for control in self._controls:
            await control.disconnect()
        await self._conn.close()

    def control(self, me: UUID, settle_seconds: float = 3600.0) -> Control:
        made = PostgresControl(self._dsn, me, {ENTITY: SmallTable()}, settle_seconds=settle_seconds)
        self._controls.append(made)
        return made

    def unreachable(self, me: UUID) -> Control:
        return PostgresControl("postgresql://nobody@127.0.0.1:1/none", me, {}, settle_seconds=3600.0)

    async def restart(self) -> None:
        # What a crash does to an unlogged table; the server itself is shared with other tests.
        await self._conn.execute("TRUNCATE shadow.generation")
        await self._terminate("true")
        while not all(conn.is_closed() for conn in self._idle()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the clients hear of it through their loop

    def _idle(self) -> list[Any]:
        return [conn for c in self._controls for conn in c._durable._free + c._quick._free]

    async def disconnect(self, client: Control | SyncSession) -> None:
        assert isinstance(client, PostgresSession | PostgresControl)
        held = client._conn if isinstance(client, PostgresSession) else client._conducting
        assert held is not None
        await self._terminate(f"pid = {held.get_server_pid()}")

    async def _terminate(self, which: str) -> None:
        await self._conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
        )

    async def write_new(self, term: int, key: Key, record: Record) -> None:
        async with self._conn.transaction():
            assert await self._conn.fetchval("SELECT shadow.enter($1, $2)", ENTITY, term)
            await self._conn.execute(
                "INSERT INTO public.things VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET doc = excluded.doc",
                key,
                record,
            )

    async def records(self) -> dict[Key, Record]:
        return {row["k"]: row["doc"] for row in await self._conn.fetch("SELECT k, doc FROM public.things")}

    async def readable(self, epoch: int, key: Key | None, stale_after: float | None) -> bool:
        found = await self._conn.fetchval("SELECT shadow.readable($1, $2, $3, $4)", ENTITY, epoch, key, stale_after)
        return bool(found)
