"""`Control` over PostgreSQL. The SQL is in ``queries.sql`` and ``schema.sql``; here it is sent, its rows are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from shadow_adapters.contract import (
    Burden,
    Debt,
    EntityState,
    Fleet,
    Key,
    Lease,
    MarkId,
    NewDebt,
    NewMark,
    OpenMark,
    ProcessInfo,
    SyncSession,
    Transition,
    Upload,
)
from shadow_adapters.failures import StoreDown
from shadow_adapters.postgres.control.connections import DOWN, Connection, Connections
from shadow_adapters.postgres.control.queries import outbox_name, sql
from shadow_adapters.postgres.control.session import PostgresSession, PutTable

CONDUCTOR_LOCK = 0x5AD0_C04D
"""The advisory lock of the conductor: one holder in the fleet."""


class PostgresControl:
    """Control for one process and one event loop.

    Args:
        dsn: PostgreSQL, reached directly or through a pooler in session mode.
        me: this process.
        tables: each entity's table, for syncs that put into PostgreSQL; may grow while in use.
        settle_seconds: the settling time: longer than the longest life of an operation on the authority.
        timeout: seconds after which a statement counts as unanswered.
    """

    def __init__(
        self, dsn: str, me: UUID, tables: Mapping[str, PutTable], *, settle_seconds: float, timeout: float = 10.0
    ) -> None:
        self._me = me
        self._tables = tables
        self._settle = settle_seconds
        self._durable = Connections(dsn, name="shadow/control", asynchronous=False, timeout=timeout)
        self._quick = Connections(dsn, name="shadow/sync", asynchronous=True, timeout=timeout)
        self._conducting: Connection | None = None

    # -- processes

    async def join(self, me: ProcessInfo, lease_seconds: float, upload: Upload, gone: Sequence[UUID]) -> Fleet:
        low, high = me.protocol
        lease = (me.id, me.host, me.pid, me.pid_namespace, me.started, me.command, low, high, lease_seconds)
        async with self._durable.connection() as conn, conn.transaction():
            await self._upload(conn, me.id, upload)
            await self._account_gone(conn, gone)
            await conn.execute(sql.join_process, *lease)
            return await _fleet(conn)

    async def renew(
        self,
        me: UUID,
        expires_at: float,
        upload: Upload,
        generation: str | None = None,
        gone: Sequence[UUID] = (),
    ) -> Fleet:
        async with self._durable.connection() as conn, conn.transaction():
            if generation is not None and str(await conn.fetchval("SELECT shadow.generation_now()")) != generation:
                return await _fleet(conn)
            await self._upload(conn, me, upload)
            await self._account_gone(conn, gone)
            await conn.execute(sql.revive, me, self._settle)
            await conn.execute(sql.renew, me, expires_at)
            return await _fleet(conn)

    async def acknowledge(self, me: UUID, epochs: Mapping[str, int]) -> None:
        await self._durable.execute(sql.acknowledge, me, list(epochs), list(epochs.values()))

    async def goodbye(self, me: UUID, upload: Upload) -> None:
        async with self._durable.connection() as conn, conn.transaction():
            await self._upload(conn, me, upload)
            await conn.execute(sql.revive, me, self._settle)
            await conn.execute(sql.introduce, me)
            await conn.execute(sql.renew, me, 0.0)
            await conn.execute(sql.account, me, "goodbye", self._settle, False)

    async def account(self, process: UUID, why: str) -> None:
        await self._durable.execute(sql.account, process, why, self._settle, True)

    async def fleet(self) -> Fleet:
        async with self._durable.connection() as conn, conn.transaction():
            return await _fleet(conn)

    # -- entities

    async def ensure(self, entities: Sequence[str]) -> None:
        await self._durable.execute(sql.ensure, list(entities))

    async def transition(self, change: Transition) -> bool:
        try:
            return await self._transition(change)
        except asyncpg.LockNotAvailableError:
            return False

    async def _transition(self, change: Transition) -> bool:
        async with self._durable.connection() as conn, conn.transaction():
            if change.move_term:
                await conn.execute("SET LOCAL lock_timeout = '500ms'")
                await conn.execute(sql.fence_off, change.entity)
            done = await conn.execute(
                sql.transition,
                change.entity,
                change.expect,
                change.phase,
                change.step,
                change.stage,
                int(change.move_term),
                change.backfill,
                change.dual_since,
                change.latch,
                change.require_no_marks,
            )
            if done != "UPDATE 1":
                return False
            line = (change.entity, change.who, change.phase, change.step, change.stage, change.why)
            await conn.execute(sql.audit, *line, json.dumps(dict(change.evidence)))
            return True

    async def conduct(self, me: UUID) -> bool:
        if self._conducting is not None and not self._conducting.is_closed():
            try:
                await self._conducting.execute("SELECT 1")
                return True
            except DOWN:
                pass
        self._release_conducting()
        conn = await self._durable.take()
        try:
            held = await conn.fetchval("SELECT pg_try_advisory_lock($1)", CONDUCTOR_LOCK)
        except DOWN as error:
            self._durable.drop(conn)
            raise StoreDown(f"PostgreSQL: {type(error).__name__}") from error
        if held:
            self._conducting = conn
        else:
            self._durable.give(conn)
        return bool(held)

    async def burden(self, entity: str) -> Burden:
        async with self._durable.connection() as conn:
            row = await conn.fetchrow(sql.burden, entity)
        return Burden(**dict(row))

    # -- marks and debts

    async def mark(self, me: UUID, marks: Sequence[NewMark], within: float | None = None) -> None:
        if len(marks) == 1:
            mark = marks[0]
            try:
                await self._quick.execute(sql.mark_one, me, mark.seq, mark.entity, mark.key, within=within)
            except asyncpg.UniqueViolationError:
                pass  # control has it: a statement that had been given up was carried out
            return
        columns = [m.seq for m in marks], [m.entity for m in marks], [m.key for m in marks]
        await self._quick.execute(sql.mark, me, *columns, within=within)

    async def name(self, me: UUID, seq: int, key: Key) -> None:
        await self._quick.execute(sql.name_mark, me, seq, key)

    async def drop(self, me: UUID, seqs: Sequence[int]) -> None:
        await self._quick.execute(sql.drop, me, list(seqs))

    async def close(self, marks: Sequence[MarkId]) -> None:
        await self._durable.execute(sql.close, [i.owner for i in marks], [i.seq for i in marks])

    async def refuse(self, refused: Mapping[MarkId, str]) -> None:
        ids = list(refused)
        await self._durable.execute(sql.refuse, [i.owner for i in ids], [i.seq for i in ids], list(refused.values()))

    async def orphans(self, me: UUID, *, limit: int) -> list[OpenMark]:
        async with self._durable.connection() as conn:
            rows = await conn.fetch(sql.orphans, me, self._settle, limit)
        return [
            OpenMark(MarkId(r["owner"], r["seq"]), r["entity"], r["key"], r["opened_at"], r["refused"], r["attempts"])
            for r in rows
        ]

    async def purge(self, older_than: float) -> int:
        async with self._durable.connection() as conn:
            done = await conn.execute(sql.purge, older_than)
        return int(done.rpartition(" ")[2])

    async def rest_outbox(self, entity: str) -> bool:
        async with self._durable.connection() as conn:
            return bool(await conn.fetchval(f"SELECT shadow.{outbox_name(entity)}_rest()"))

    async def marked_since(self, entity: str, since: float) -> frozenset[Key]:
        async with self._durable.connection() as conn:
            return frozenset(r["key"] for r in await conn.fetch(sql.marked_since, entity, since))

    async def owe(self, debts: Sequence[NewDebt]) -> None:
        await self._durable.execute(sql.owe, *_debt_columns(debts))

    async def debts(self, entity: str) -> list[Debt]:
        async with self._durable.connection() as conn:
            return [Debt(**dict(row)) for row in await conn.fetch(sql.debts, entity)]

    async def pay(self, ids: Sequence[int], evidence: Mapping[str, Any]) -> None:
        await self._durable.execute(sql.pay, list(ids), json.dumps(dict(evidence)))

    # -- what gates and jobs need

    async def state_facts(self, me: UUID, facts: Mapping[tuple[str, str], float]) -> None:
        await self._durable.execute(
            sql.state_facts, me, [e for e, _ in facts], [n for _, n in facts], list(facts.values())
        )

    async def facts(self, entity: str) -> dict[str, tuple[float, float]]:
        async with self._durable.connection() as conn:
            return {r["name"]: (r["total"], r["worst"]) for r in await conn.fetch(sql.facts, entity)}

    async def save_job(self, entity: str, job: str, state: Mapping[str, Any]) -> None:
        await self._durable.execute(sql.save_job, entity, job, json.dumps(dict(state)))

    async def load_job(self, entity: str, job: str) -> dict[str, Any] | None:
        async with self._durable.connection() as conn:
            text = await conn.fetchval(sql.load_job, entity, job)
        return None if text is None else json.loads(text)

    # -- syncing

    async def session(self) -> SyncSession:
        conn = await self._quick.take()
        return PostgresSession(self._quick, conn, self._me, self._tables, self._settle)

    # -- the connections themselves

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._durable.opened + self._quick.opened

    async def disconnect(self) -> None:
        """Give everything back. The conductor's lock goes with its connection."""
        self._release_conducting()
        self._durable.close()
        self._quick.close()
        await asyncio.sleep(0)

    def _release_conducting(self) -> None:
        if self._conducting is not None:
            self._durable.drop(self._conducting)
            self._conducting = None

    async def _account_gone(self, conn: Connection, gone: Sequence[UUID]) -> None:
        for process in gone:
            await conn.execute(sql.introduce, process)
            await conn.execute(sql.account, process, "its process is gone", self._settle, False)

    async def _upload(self, conn: Connection, me: UUID, upload: Upload) -> None:
        if upload.marks:
            marks = upload.marks
            await conn.execute(
                sql.upload,
                [m.owner or me for m in marks],
                [m.seq for m in marks],
                [m.entity for m in marks],
                [m.key for m in marks],
                [m.opened_at for m in marks],
            )
        if upload.debts:
            await conn.execute(sql.owe, *_debt_columns(upload.debts))


def _debt_columns(debts: Sequence[NewDebt]) -> tuple[list[Any], ...]:
    return (
        [d.entity for d in debts],
        [d.reason for d in debts],
        [d.since for d in debts],
        [d.settle for d in debts],
    )


async def _fleet(conn: Connection) -> Fleet:
    clock = await conn.fetchrow(sql.clock)
    entities = {r["entity"]: EntityState(**dict(r)) for r in await conn.fetch(sql.entities)}
    leases = tuple(_lease(r) for r in await conn.fetch(sql.leases))
    return Fleet(clock["now"], clock["generation"], entities, leases)


def _lease(r: Any) -> Lease:
    process = ProcessInfo(
        r["id"],
        r["host"],
        r["pid"],
        r["pid_namespace"],
        r["started"],
        r["command"],
        (r["protocol_min"], r["protocol_max"]),
    )
    return Lease(process, r["expires_at"], str(r["generation"]), None, json.loads(r["acknowledged"]))
