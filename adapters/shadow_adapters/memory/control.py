"""`Control` over a server in memory. Each method is one request over the client's link, and one transaction there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

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
    Transition,
    Upload,
)
from shadow_adapters.failures import StoreDown
from shadow_adapters.memory.locks import Connection
from shadow_adapters.memory.network import Direct, Link
from shadow_adapters.memory.server import MemoryServer
from shadow_adapters.memory.session import MemorySession
from shadow_adapters.memory.tables import DebtRow, MarkRow

T = TypeVar("T")

CONDUCTOR = ("", b"conductor")


class MemoryControl:
    """Control for one process.

    Args:
        server: shared by all processes.
        me: this process; its connections die with it (`MemoryServer.drop_client`).
        settle_seconds: the settling time: longer than the longest life of an operation on the authority.
        link: how the server is reached.
    """

    def __init__(self, server: MemoryServer, me: UUID, *, settle_seconds: float, link: Link | None = None) -> None:
        self._server = server
        self._me = me
        self._settle = settle_seconds
        self._link = link or Direct()
        self._conducting: Connection | None = None

    async def _run(self, work: Callable[[], T], *, durable: bool = True) -> T:
        return await self._link.call(lambda: self._server.run(work, durable=durable))

    # -- processes

    async def join(self, me: ProcessInfo, lease_seconds: float, upload: Upload, gone: Sequence[UUID]) -> Fleet:
        def work() -> Fleet:
            server = self._server
            self._take(me.id, upload, gone)
            before = server.leases.rows.get(me.id)
            expires_at = max(server.now() + lease_seconds, before.expires_at if before else 0.0)
            acknowledged = before.acknowledged if before else {}
            server.leases.put(me.id, Lease(me, expires_at, server.generation, None, acknowledged))
            return self._fleet()

        return await self._run(work)

    async def renew(
        self,
        me: UUID,
        expires_at: float,
        upload: Upload,
        generation: str | None = None,
        gone: Sequence[UUID] = (),
    ) -> Fleet:
        def work() -> Fleet:
            if generation is not None and generation != self._server.generation:
                return self._fleet()
            self._take(me, upload, gone)
            self._server.revive(me, self._settle)
            self._extend(me, expires_at)
            return self._fleet()

        return await self._run(work)

    async def fleet(self) -> Fleet:
        return await self._run(self._fleet)

    async def acknowledge(self, me: UUID, epochs: Mapping[str, int]) -> None:
        def work() -> None:
            lease, states = self._server.leases.rows.get(me), self._server.entities.rows
            if lease is not None:
                current = {e: epoch for e, epoch in epochs.items() if e in states and states[e].epoch == epoch}
                self._server.leases.put(me, replace(lease, acknowledged={**lease.acknowledged, **current}))

        await self._run(work)

    async def goodbye(self, me: UUID, upload: Upload) -> None:
        def work() -> None:
            self._take(me, upload)
            self._server.revive(me, self._settle)
            self._server.introduce(me)
            self._extend(me, 0.0)
            self._server.account(me, self._settle, journal_seen=True)

        await self._run(work)

    async def account(self, process: UUID, why: str) -> None:
        await self._run(lambda: self._server.account(process, self._settle, journal_seen=False))

    def _take(self, me: UUID, upload: Upload, gone: Sequence[UUID] = ()) -> None:
        self._server.upload_marks(me, upload.marks)
        self._server.owe(upload.debts)
        for process in gone:
            self._server.introduce(process)
            self._server.account(process, self._settle, journal_seen=True)

    def _extend(self, me: UUID, expires_at: float) -> None:
        lease = self._server.leases.rows.get(me)
        if lease is not None:
            latest = max(lease.expires_at, expires_at)
            generation = self._server.generation
            self._server.leases.put(me, replace(lease, expires_at=latest, generation=generation, gone_at=None))

    def _fleet(self) -> Fleet:
        server = self._server
        leases = tuple(lease for lease in server.leases.rows.values() if lease.gone_at is None)
        return Fleet(server.now(), server.generation, dict(server.entities.rows), leases)

    # -- entities

    async def ensure(self, entities: Sequence[str]) -> None:
        def work() -> None:
            for entity in entities:
                if entity not in self._server.entities.rows:
                    state = EntityState(entity, "legacy", 1, stage_since=self._server.now())
                    self._server.entities.put(entity, state)

        await self._run(work)

    async def transition(self, change: Transition) -> bool:
        def work() -> bool:
            server = self._server
            state = server.entities.rows.get(change.entity)
            if state is None or state.epoch != change.expect:
                return False
            if change.require_no_marks and server.open_of(change.entity):
                return False
            server.entities.put(change.entity, _moved(state, change, server.now()))
            server.write_audit(
                entity=change.entity,
                who=change.who,
                phase=change.phase,
                step=change.step,
                stage=change.stage,
                why=change.why,
                evidence=dict(change.evidence),
            )
            return True

        return await self._run(work)

    async def conduct(self, me: UUID) -> bool:
        if self._conducting is None or not self._conducting.alive:
            self._conducting = self._server.connect(self._me)
        connection = self._conducting
        return await self._run(lambda: connection.alive and self._server.locks.try_take(connection, CONDUCTOR))

    async def burden(self, entity: str) -> Burden:
        def work() -> Burden:
            rows = self._server.open_of(entity)
            return Burden(
                marks=len(rows),
                oldest_mark=rows[0].opened_at if rows else None,
                keyless=sum(row.key is None for row in rows),
                refused=sum(row.refused is not None for row in rows),
                debts=len(self._server.open_debts(entity)),
            )

        return await self._run(work)

    # -- marks and debts

    async def mark(self, me: UUID, marks: Sequence[NewMark], within: float | None = None) -> None:
        try:
            async with asyncio.timeout(within):
                await self._run(lambda: self._server.open_marks(me, marks), durable=False)
        except TimeoutError as error:
            raise StoreDown("a mark took longer than its budget") from error

    async def name(self, me: UUID, seq: int, key: Key) -> None:
        def work() -> None:
            row = self._server.marks.rows.get(MarkId(me, seq))
            if row is not None and row.key is None:
                self._server.store_mark(replace(row, key=key))

        await self._run(work, durable=False)

    async def drop(self, me: UUID, seqs: Sequence[int]) -> None:
        await self._run(lambda: self._server.close_marks(MarkId(me, seq) for seq in seqs), durable=False)

    async def close(self, marks: Sequence[MarkId]) -> None:
        await self._run(lambda: self._server.close_marks(marks))

    async def refuse(self, refused: Mapping[MarkId, str]) -> None:
        def work() -> None:
            for mark_id, reason in refused.items():
                row = self._server.marks.rows.get(mark_id)
                if row is not None and row.open:
                    due_at = self._server.now() + min(2**row.attempts, 600)
                    again = replace(row, refused=reason, attempts=row.attempts + 1, due_at=due_at)
                    self._server.store_mark(again)

        await self._run(work)

    async def orphans(self, me: UUID, *, limit: int) -> list[OpenMark]:
        def mine(row: MarkRow) -> bool:
            due = row.due_at is None or row.due_at <= self._server.now()
            return due and (row.id.owner == me or self._server.settled(row, self._settle))

        def work() -> list[OpenMark]:
            rows = list(filter(mine, self._server.open_rows))
            return [OpenMark(r.id, r.entity, r.key, r.opened_at, r.refused, r.attempts) for r in rows[:limit]]

        return await self._run(work)

    async def purge(self, older_than: float) -> int:
        def work() -> int:
            before = self._server.now() - older_than
            rows = self._server.marks.rows.values()
            old = [row.id for row in rows if row.closed_at is not None and row.closed_at < before]
            for mark_id in old:
                self._server.marks.remove(mark_id)
            return len(old)

        return await self._run(work)

    async def rest_outbox(self, entity: str) -> bool:
        return await self._run(lambda: self._server.entities.rows[entity].phase == "new")

    async def marked_since(self, entity: str, since: float) -> frozenset[Key]:
        def work() -> frozenset[Key]:
            rows = [m for m in self._server.marks.rows.values() if m.entity == entity]
            return frozenset(
                row.key for row in rows if row.key is not None and (row.closed_at is None or row.closed_at >= since)
            )

        return await self._run(work)

    async def owe(self, debts: Sequence[NewDebt]) -> None:
        await self._run(lambda: self._server.owe(debts))

    async def debts(self, entity: str) -> list[Debt]:
        return await self._run(lambda: self._server.open_debts(entity))

    async def pay(self, ids: Sequence[int], evidence: Mapping[str, Any]) -> None:
        def work() -> None:
            for debt_id in ids:
                row = self._server.debts.rows.get(debt_id)
                if row is not None and row.evidence is None:
                    self._server.debts.put(debt_id, DebtRow(row.debt, dict(evidence), self._server.now()))

        await self._run(work)

    # -- what gates and jobs need

    async def state_facts(self, me: UUID, facts: Mapping[tuple[str, str], float]) -> None:
        def work() -> None:
            for (entity, name), value in facts.items():
                self._server.facts.put((entity, name, me), value)

        await self._run(work)

    async def facts(self, entity: str) -> dict[str, tuple[float, float]]:
        def work() -> dict[str, tuple[float, float]]:
            seen: dict[str, list[float]] = {}
            for (of, name, _), value in self._server.facts.rows.items():
                if of == entity:
                    seen.setdefault(name, []).append(value)
            return {name: (sum(values), max(values)) for name, values in seen.items()}

        return await self._run(work)

    async def save_job(self, entity: str, job: str, state: Mapping[str, Any]) -> None:
        text = json.dumps(dict(state))
        await self._run(lambda: self._server.jobs.put((entity, job), text))

    async def load_job(self, entity: str, job: str) -> dict[str, Any] | None:
        text = await self._run(lambda: self._server.jobs.rows.get((entity, job)))
        return None if text is None else json.loads(text)

    # -- syncing

    async def session(self) -> MemorySession:
        return MemorySession(self._server, self._me, settle_seconds=self._settle, link=self._link)


def _moved(state: EntityState, change: Transition, now: float) -> EntityState:
    return replace(
        state,
        phase=change.phase,
        step=change.step,
        stage=change.stage,
        epoch=state.epoch + 1,
        term=state.term + int(change.move_term),
        stage_since=now,
        backfill=state.backfill if change.backfill is None else change.backfill,
        dual_since=state.dual_since if change.dual_since is None else change.dual_since,
        latch=change.latch,
    )
