"""One entity's two stores in memory, by key, as the protocol's contract has them, and as an application uses them.

`LegacyServer` outlives the clients: a write that a client has given up may be applied later, or never. New's records
are the control server's own, so that a record and its marks change in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shadow_adapters.contract import Fence, Key, Record
from shadow_adapters.failures import EpochMoved, NotReadable, OutcomeUnknown, Refused, StoreDown
from shadow_adapters.memory.network import Direct, Link
from shadow_adapters.memory.server import MemoryServer

Change = Callable[[Record | None], Record | None]
"""What a write makes of a record; None: there is none."""


@dataclass(slots=True, eq=False)
class Transaction:
    """Writes of several records that are applied together. The server forgets one that is not committed in time."""

    changes: Mapping[Key, Change]
    expires_at: float  # loop time
    committed: bool = False


class LegacyServer:
    """Records of one legacy entity, shared by all processes."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.elections = 0
        self.armed = False

    def change(self, key: Key, change: Change) -> Record | None:
        """Apply a write at one instant; the record after it."""
        after = change(self.records.get(key))
        if after is None:
            self.records.pop(key, None)
        else:
            self.records[key] = after
        return after

    def commit(self, transaction: Transaction, now: float) -> None:
        """Apply a transaction, once however often it is asked for. Raises `StoreDown` where it is too late for that."""
        if transaction.committed:
            return
        if now >= transaction.expires_at:
            raise StoreDown("the transaction has expired")
        transaction.committed = True
        for key, change in transaction.changes.items():
            self.change(key, change)


class MemoryLegacy:
    """`Legacy` for one process, and the application's own writes and reads."""

    def __init__(self, server: LegacyServer, link: Link | None = None) -> None:
        self._server = server
        self._link = link or Direct()

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""
        records = self._server.records
        return await self._link.call(lambda: {key: records[key] for key in keys if key in records}, changes=False)

    async def put(self, states: Mapping[Key, Record | None]) -> dict[Key, Refused]:
        """Replace, insert or delete each, at instants of their own. Raises `StoreDown` or `OutcomeUnknown`."""

        async def one(key: Key, record: Record | None) -> None:
            await self.change(key, lambda _: record)

        puts = (one(key, record) for key, record in states.items())
        errors = [found for found in await asyncio.gather(*puts, return_exceptions=True) if found is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, StoreDown)):  # what is unknown counts first
            raise error
        return {}

    async def change(self, key: Key, change: Change) -> Record | None:
        """One write of the application; the record after it. Raises `StoreDown` or `OutcomeUnknown`."""
        return await self._link.call(lambda: self._server.change(key, change), unknown=OutcomeUnknown)

    async def commit(self, transaction: Transaction) -> None:
        """Commit a transaction of the application; may be repeated. Raises `StoreDown` or `OutcomeUnknown`."""
        clock = asyncio.get_running_loop().time
        await self._link.call(lambda: self._server.commit(transaction, clock()), unknown=OutcomeUnknown)

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next records in the order of their keys. Raises `StoreDown`."""
        return await self._link.call(lambda: _page(self._server.records, after, limit), changes=False)

    async def identity(self) -> str:
        """Changes with every election."""
        return await self._link.call(lambda: f"election {self._server.elections}")

    async def arm(self) -> None:
        """Note that the authority may be elsewhere from now on. Raises `StoreDown`."""
        await self._link.call(lambda: setattr(self._server, "armed", True))

    async def armed(self) -> bool:
        """Whether it may be. Raises `StoreDown`."""
        return await self._link.call(lambda: self._server.armed)


class MemoryNew:
    """`New` for one process and entity, and the application's own fenced writes and reads."""

    def __init__(self, server: MemoryServer, entity: str, link: Link | None = None) -> None:
        self._server = server
        self._entity = entity
        self._link = link or Direct()

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""
        return await self._link.call(lambda: self._server.run(lambda: self._server.records_of(self._entity, keys)))

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next records in the order of their keys. Raises `StoreDown`."""

        def work() -> list[tuple[Key, Record]]:
            rows = self._server.records.rows
            return _page(
                {key: record for (entity, key), record in rows.items() if entity == self._entity}, after, limit
            )

        return await self._link.call(lambda: self._server.run(work))

    async def insert_absent(self, term: int, records: Mapping[Key, Record]) -> frozenset[Key]:
        """Insert those that new does not have; the keys that were there already, or were refused.

        Raises `EpochMoved` when the term moved, and `StoreDown`.
        """
        return await self._link.call(lambda: self._server.run(lambda: self._insert_absent(term, records)))

    def _insert_absent(self, term: int, records: Mapping[Key, Record]) -> frozenset[Key]:
        if not self._server.enter(self._entity, term):
            raise EpochMoved(f"the term of {self._entity} is not {term}")
        left_out = set(self._server.records_of(self._entity, records))
        for key in sorted(set(records) - left_out):
            try:
                self._server.put_records(self._entity, {key: records[key]})
            except Refused:
                left_out.add(key)
        return frozenset(left_out)

    async def read_fenced(self, fence: Fence | None, key: Key) -> Record | None:
        """A read of the application: one statement that also checks whether new may answer. Raises `NotReadable`."""

        def work() -> Record | None:
            if fence is not None and not self._server.readable(self._entity, fence.epoch, key, fence.stale_after):
                raise NotReadable(f"new may not answer for {self._entity} now")
            return self._server.records_of(self._entity, [key]).get(key)

        return await self._link.call(lambda: self._server.run(work))

    async def change_fenced(self, fence: Fence | None, changes: Mapping[Key, Change]) -> None:
        """Writes of the application with their outbox marks, in one transaction.

        Raises `EpochMoved` when the term is not the fence's, `Refused` when new does not hold one of the records,
        `OutcomeUnknown` when no reply came.
        """

        def work() -> None:
            if fence is not None and not self._server.enter(self._entity, fence.epoch):
                raise EpochMoved(f"the term of {self._entity} is not {fence.epoch}")
            before = self._server.records_of(self._entity, changes)
            after = {key: change(before.get(key)) for key, change in changes.items()}
            self._server.put_records(self._entity, after)
            self._server.mark_outbox(self._entity, list(changes))

        await self._link.call(lambda: self._server.run(work), unknown=OutcomeUnknown)


def _page(records: Mapping[Key, Record], after: Key | None, limit: int) -> list[tuple[Key, Record]]:
    keys = sorted(key for key in records if after is None or key > after)
    return [(key, records[key]) for key in keys[:limit]]
