"""An entity's table as backfill and verify see it: records by key, on connections of a pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shadow_adapters.contract import Key, Record
from shadow_adapters.postgres.layouts.base import Layout
from shadow_adapters.postgres.pool import Pool


class PostgresRecords:
    """`shadow_adapters.contract.New` over one layout."""

    def __init__(self, pool: Pool, layout: Layout) -> None:
        self._pool = pool
        self._layout = layout

    async def read(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""
        async with self._pool.connection() as conn:
            return await self._layout.read(conn, keys)

    async def scan(self, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next records in the order of their byte keys. Raises `StoreDown`."""
        async with self._pool.connection() as conn:
            return await self._layout.scan(conn, after, limit)

    async def insert_absent(self, term: int, records: Mapping[Key, Record]) -> frozenset[Key]:
        """Insert those that are not there; the keys of the others. Raises `EpochMoved`, `StoreDown`."""
        async with self._pool.connection() as conn:
            return await self._layout.insert_absent(conn, self._layout.entity, term, records)
