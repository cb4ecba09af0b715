"""MongoDB's commands on PostgreSQL: one collection in one layout."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

from bson.datetime_ms import DatetimeMS

from shadow_adapters.contract import Fence, Key, Record
from shadow_adapters.failures import CommandFailure, NotReadable
from shadow_adapters.postgres.call import Call, Neighbours, no_neighbours, read_gate
from shadow_adapters.postgres.commands.aggregate import AggregateCursor, aggregate
from shadow_adapters.postgres.commands.count import count
from shadow_adapters.postgres.commands.create import create
from shadow_adapters.postgres.commands.create_indexes import create_indexes
from shadow_adapters.postgres.commands.delete import delete
from shadow_adapters.postgres.commands.distinct import distinct
from shadow_adapters.postgres.commands.drop import drop
from shadow_adapters.postgres.commands.drop_indexes import drop_indexes, list_indexes
from shadow_adapters.postgres.commands.explain import explain
from shadow_adapters.postgres.commands.fields import searches
from shadow_adapters.postgres.commands.find import FindCursor, find
from shadow_adapters.postgres.commands.find_and_modify import find_and_modify
from shadow_adapters.postgres.commands.hints import obeyed
from shadow_adapters.postgres.commands.insert import insert
from shadow_adapters.postgres.commands.replace_all import replace_all
from shadow_adapters.postgres.commands.table_indexes import by_layout, create_table_indexes, list_table_indexes
from shadow_adapters.postgres.commands.update import update
from shadow_adapters.postgres.errors import ERRORS, mapped
from shadow_adapters.postgres.layouts.base import Layout
from shadow_adapters.postgres.layouts.documents import IndexesChanged
from shadow_adapters.postgres.limits import TimedCursor, TimeLimit, time_limit
from shadow_adapters.postgres.pool import Connection
from shadow_adapters.postgres.replies import Reply, failed
from shadow_adapters.postgres.statements import find_record_sql

Cursor = FindCursor | AggregateCursor | TimedCursor
Handler = Callable[[Call, Mapping[str, Any]], Awaitable[Reply]]

READS: Final[dict[str, Handler]] = {
    "find": find,
    "aggregate": aggregate,
    "count": count,
    "distinct": distinct,
    "listIndexes": by_layout(list_indexes, list_table_indexes),
    "explain": explain,
}
WRITES: Final[dict[str, Handler]] = {
    "insert": insert,
    "update": update,
    "delete": delete,
    "findAndModify": find_and_modify,
    "findandmodify": find_and_modify,
    "createIndexes": by_layout(create_indexes, create_table_indexes),
    "dropIndexes": drop_indexes,
    "create": create,
    "drop": drop,
    "replaceAll": replace_all,
}
COMMANDS: Final = READS | WRITES
_TIMED_WRITES: Final = frozenset(("insert", "update", "delete", "findAndModify", "findandmodify"))
_UNTIMED: Final = nullcontext()


class Engine:
    """Executes commands of one collection.

    Args:
        entity: name of the entity, as the control schema knows it.
        collection: the namespace ``database.collection``, for replies and error texts.
        layout: where the documents lie.
    """

    def __init__(self, entity: str, collection: str, layout: Layout) -> None:
        self.entity = entity
        self.collection = collection
        self.layout = layout
        self._find_record: dict[int, str] = {}  # by the number of the gate's parameters

    async def execute(
        self,
        conn: Connection,
        command: dict[str, Any],
        *,
        fence: Fence | None = None,
        now: DatetimeMS | None = None,
        neighbours: Neighbours = no_neighbours,
    ) -> Reply:
        """Run one command and return MongoDB's reply document.

        The connection may be in a transaction already; the command then is a part of it. A refused command or write is
        told in the reply (``ok: 0``, ``writeErrors``), with ``unsupported`` where this store does not serve something.

        Args:
            fence: the terms to hold PostgreSQL to; None for neither.
            now: what ``$currentDate`` sets.
            neighbours: the other collections that an aggregation may read.

        Raises `EpochMoved`, `NotReadable`, `StoreDown`, `OutcomeUnknown`.
        """
        name = next(iter(command), "")
        handler = COMMANDS.get(name)
        try:
            if handler is None:
                raise CommandFailure(59, f"no such command: '{name}'", unsupported=name)
            limit = time_limit(command)
            async with _held(limit, name, conn):
                try:
                    call = await self._call(conn, fence, now, neighbours, command, limit)
                    return await handler(call, await obeyed(call, command))
                except IndexesChanged:
                    if name not in READS or conn.is_in_transaction():
                        raise
                    call = await self._call(conn, fence, now, neighbours, command, limit)
                    return await handler(call, await obeyed(call, command))
        except CommandFailure as failure:
            return failed(failure)
        except ERRORS as error:  # of BEGIN and COMMIT
            raise mapped(error, writing=name in WRITES) or error from None

    async def find_record(self, conn: Connection, key: Key, fence: Fence | None = None) -> Record | None:
        """The record of one key, None where there is none: the shortest way for the most frequent call.

        What `execute` does for a ``find`` by ``_id`` and nothing else, without a reply and without decoding.

        Raises `NotReadable`, `StoreDown`.
        """
        layout = self.layout
        await layout.prepare(conn)
        gate = read_gate(fence, key)
        sql = self._find_record.get(len(gate.args))
        if sql is None:
            sql = self._find_record[len(gate.args)] = find_record_sql(layout, gate)
        try:
            row = await conn.fetchrow(sql, *gate.args, layout.id_of(key))
        except ERRORS as error:
            raise mapped(error, writing=False) or error from None
        if row is None or not row[0]:
            raise NotReadable(self.entity)
        return None if row[1] is None else layout.record(row[2:])

    async def find_records(self, conn: Connection, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of those keys that have one, under no terms. Raises `StoreDown`."""
        return await self.layout.read(conn, keys)

    async def open(
        self,
        conn: Connection,
        command: dict[str, Any],
        fence: Fence | None = None,
        neighbours: Neighbours = no_neighbours,
    ) -> Cursor:
        """A ``find`` or an ``aggregate`` as a cursor (`shadow.ops.base.Cursor`) that holds no more than it must.

        It keeps the connection in a transaction until it is closed. Raises `CommandFailure` at once for a command that
        is refused; the first batch raises `NotReadable`.
        """
        limit = time_limit(command)
        call = await self._call(conn, fence, None, neighbours, command, limit)
        asked = await obeyed(call, command)
        cursor = AggregateCursor(call, asked) if "aggregate" in command else FindCursor(call, asked)
        return cursor if limit is None else TimedCursor(cursor, limit)

    async def _call(
        self,
        conn: Connection,
        fence: Fence | None,
        now: DatetimeMS | None,
        neighbours: Neighbours,
        command: Mapping[str, Any],
        limit: TimeLimit | None,
    ) -> Call:
        if self.layout.text_index is None and searches(command):
            self.layout.forget()  # another process may have made the index without which there is no answer
        await self.layout.prepare(conn)
        moment = now if now is not None else DatetimeMS(int(time.time() * 1000))
        return Call(conn, self.layout, self.collection, fence, moment, neighbours, limit)


def _held(limit: TimeLimit | None, name: str, conn: Connection) -> AbstractAsyncContextManager[None]:
    """Holds a command to its time. What alters a collection is not ended half-way."""
    if limit is not None and name in READS:
        return limit.reading()
    if limit is not None and name in _TIMED_WRITES:
        return limit.writing(conn)
    return _UNTIMED
