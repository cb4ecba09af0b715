"""What a layout is: how the documents of one entity lie in one PostgreSQL table.

A layout turns documents into rows and back, and gives the SQL around rows that does not depend on a command: putting
states (for syncs), reading and scanning by key, inserting what is absent (for backfills). Commands are the engine's.

A table has a primary key column that stands for the document's key, and *columns* that are written together. Statements
are set-based through ``unnest`` of one array per column, so that their texts, and with them PostgreSQL's and asyncpg's
prepared statements, do not depend on the number of rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import EpochMoved, Refused, StoreError
from shadow_adapters.postgres.errors import mapped
from shadow_adapters.postgres.layouts.patch import Patch
from shadow_adapters.postgres.pool import Connection

if TYPE_CHECKING:
    from shadow_adapters.postgres.compiler.indexes import Access
    from shadow_adapters.postgres.compiler.resolver import Args, Condition, Resolver
    from shadow_adapters.postgres.layouts.terms import TextIndex

FENCE = "fence AS MATERIALIZED (SELECT shadow.enter($1, $2) AS ok)"
"""The common table expression that every fenced write reads: entity and epoch are the first two parameters."""


class PutPlan(NamedTuple):
    """Common table expressions that put states, to be embedded behind one named ``fence`` with a column ``ok``."""

    ctes: str
    args: list[Any]


class ScanPart(NamedTuple):
    """Rows that meet a condition, in an order that is the byte keys', behind a position (empty: from the start)."""

    condition: str
    order: str
    position: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """One written column: its quoted name, the type it is sent as, and the cast to its own type where they differ."""

    name: str
    type: str
    cast: str = ""


class Layout(ABC):
    """The documents of one entity in one table.

    Attributes:
        entity: name of the entity.
        table: the table, qualified and quoted.
        id: the primary key column, quoted.
        id_type: type of the primary key column.
        stored: the select list (of alias ``t``) from which a document is made.
    """

    entity: str
    table: str
    id: str
    id_type: str
    stored: str

    # -- the schema

    @abstractmethod
    def ddl(self) -> list[str]:
        """Idempotent statements that make or complete the table."""

    @abstractmethod
    def key_sql(self, row: str) -> str:
        """SQL for the byte key of a row variable such as ``NEW``. ``ddl`` has made the functions that it calls."""

    @abstractmethod
    async def check(self, conn: Connection) -> list[str]:
        """What keeps the table from serving: missing table, column or type. Empty when it can."""

    @abstractmethod
    async def prepare(self, conn: Connection) -> None:
        """Learn what only the database knows (types, indexes). Cheap when it is known already.

        Must have been awaited before `plan_put`; the asynchronous methods do it themselves.
        """

    def forget(self) -> None:  # noqa: B027 - most layouts have nothing to forget
        """Learn it anew at the next `prepare`: a statement failed because the database has changed."""

    # -- documents and rows

    @property
    @abstractmethod
    def resolver(self) -> Resolver:
        """How the query compiler finds fields in this layout."""

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """The written columns, primary key first."""

    @abstractmethod
    def id_of(self, key: Key) -> Any:
        """The primary key column's value for a key, ready to be sent. None when no row can have it."""

    @abstractmethod
    def key_of(self, id: Any) -> Key:
        """The key for the primary key column's value."""

    @abstractmethod
    def row(self, key: Key, document: Mapping[str, Any], record: Record) -> Sequence[Any]:
        """The values of `columns`. Raises `Refused` where the table cannot hold the document."""

    @abstractmethod
    def document(self, stored: Sequence[Any]) -> dict[str, Any]:
        """The document from the values of ``stored``."""

    def documents(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """`document` of many rows."""
        return [self.document(stored) for stored in rows]

    @abstractmethod
    def record(self, stored: Sequence[Any]) -> Record:
        """The record from the values of ``stored``."""

    @abstractmethod
    def rows(self, states: Mapping[Key, Record]) -> list[Sequence[Any]]:
        """Rows of whole records. Raises `Refused` with ``key``."""

    # -- statements

    def access(
        self, filter: Mapping[str, Any], sort: Mapping[str, Any] | None, args: Args, collation: Collation = SIMPLE
    ) -> Access | None:
        """The index of Shadow's own that serves a query, if there is one."""
        return None

    @property
    def text_index(self) -> TextIndex | None:
        """The index by which ``$text`` searches, if there is one."""
        return None

    def text_access(self, terms: Sequence[str], args: Args) -> Condition:
        """Which rows have one of the terms, by the `text_index`, which there must be."""
        raise NotImplementedError

    def expiries(self) -> Mapping[str, float]:
        """Fields that hold the date from which a document expires, and after how many seconds."""
        return {}

    def side_effects(self, source: str, first: int, rows: Sequence[Sequence[Any]], *, gone: str = "") -> PutPlan:
        """What a write of rows must write elsewhere, such as terms of indexes.

        Args:
            source: the CTE that returns the ``id`` of each row that was written.
            gone: the CTE that returns the ``id`` of each row that was deleted.
        """
        return PutPlan("", [])

    @abstractmethod
    def explain(self, error: asyncpg.PostgresError, failure: Refused) -> StoreError:
        """``failure`` with what this layout can tell beyond it, such as the conflicting keys."""

    @abstractmethod
    def holder_sql(self, error: asyncpg.PostgresError) -> tuple[str, list[Any]] | None:
        """The query for the ids of the rows that hold the unique value an error complains of; None where unknown."""

    @abstractmethod
    def duplicate(self, error: asyncpg.PostgresError, document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Name of the unique index that ``document`` violated, and the values in the way by field path."""

    def patch(self, id: Any, fields: Mapping[str, Any], first: int) -> Patch | None:
        """A statement that sets top-level fields (in the order of application) of one document; None: read it first.

        Args:
            id: the primary key column's value.
            first: number of the first parameter.
        """
        return None

    @abstractmethod
    def scan_parts(self, after: Key | None) -> list[ScanPart]:
        """The rows behind ``after`` in byte-key order, as scans that follow each other."""

    def plan_put(self, states: Mapping[Key, Record | None], first: int) -> PutPlan:
        """CTEs that make the table's rows equal to ``states`` (None: delete), parameters numbered from ``first``.

        They act only ``WHERE (SELECT ok FROM fence)``. Raises `Refused` (with ``key``) for a record that cannot be
        represented.
        """
        gone = [self.id_of(key) for key, record in states.items() if record is None]
        rows = self.rows({key: record for key, record in states.items() if record is not None})
        upsert = self.insert_sql(first + 1, self._overwrite(), guard="(SELECT count(*) FROM put_gone) >= 0")
        args: list[Any] = [[id for id in gone if id is not None], *self.arrays(rows)]
        side = self.side_effects("put_rows", first + len(args), rows, gone="put_gone")
        ctes = (
            f"put_gone AS (DELETE FROM {self.table} WHERE {self.id} = ANY(${first}::{self.id_type}[]) "
            f"AND (SELECT ok FROM fence) RETURNING {self.id} AS id), put_rows AS ({upsert}){side.ctes}"
        )
        return PutPlan(ctes, args + side.args)

    def insert_sql(self, first: int, conflict: str, *, guard: str = "true", single: bool = False) -> str:
        """An INSERT, returning ``id``, under the fence and ``guard``.

        Of rows sent as arrays (see `arrays`), or of a ``single`` row sent as one parameter for each column.
        """
        columns = self.columns()
        names = ", ".join(column.name for column in columns)
        sent = [f"${first + i}::{column.type}" for i, column in enumerate(columns)]
        if single:
            values, source = ", ".join(f"{sent[i]}{column.cast}" for i, column in enumerate(columns)), ""
        else:
            values = ", ".join(f"u.{column.name}{column.cast}" for column in columns)
            source = f"FROM unnest({', '.join(f'{array}[]' for array in sent)}) AS u({names})"
        return (
            f"INSERT INTO {self.table} AS t ({names}) SELECT {values} {source} "
            f"WHERE (SELECT ok FROM fence) AND {guard} {conflict} RETURNING t.{self.id} AS id"
        )

    def insert_row_sql(self, conflict: str) -> str:
        """An INSERT of one row that no fence guards, returning true and its ``id`` in an array: the cheapest form."""
        columns = self.columns()
        names = ", ".join(column.name for column in columns)
        values = ", ".join(f"${1 + i}::{column.type}{column.cast}" for i, column in enumerate(columns))
        return (
            f"INSERT INTO {self.table} AS t ({names}) VALUES ({values}) {conflict} RETURNING true, ARRAY[t.{self.id}]"
        )

    def arrays(self, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """Rows as one array per column."""
        return [[row[i] for row in rows] for i in range(len(self.columns()))]

    def _overwrite(self) -> str:
        names = [column.name for column in self.columns()[1:]]
        changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
        return f"ON CONFLICT ({self.id}) DO UPDATE SET {changes}"

    # -- by key

    async def read(self, conn: Connection, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records of the keys that exist. Raises `StoreDown`."""
        await self.prepare(conn)
        ids = [id for id in map(self.id_of, keys) if id is not None]
        sql = f"SELECT t.{self.id}, {self.stored} FROM {self.table} AS t WHERE t.{self.id} = ANY($1::{self.id_type}[])"
        return {self.key_of(row[0]): self.record(row[1:]) for row in await fetch(conn, sql, ids)}

    async def scan(self, conn: Connection, after: Key | None, limit: int) -> list[tuple[Key, Record]]:
        """The next ``limit`` records behind ``after`` in the order of their byte keys. Empty at the end."""
        await self.prepare(conn)
        found: list[tuple[Key, Record]] = []
        for part in self.scan_parts(after):
            args = [limit - len(found), *part.position]
            more = f"AND {part.order} > $2::{self.id_type}" if part.position else ""
            sql = (
                f"SELECT t.{self.id}, {self.stored} FROM {self.table} AS t "
                f"WHERE {part.condition} {more} ORDER BY {part.order} LIMIT $1"
            )
            found += [(self.key_of(row[0]), self.record(row[1:])) for row in await fetch(conn, sql, *args)]
            if len(found) >= limit:
                break
        return found

    async def insert_absent(
        self, conn: Connection, entity: str, epoch: int, records: Mapping[Key, Record]
    ) -> frozenset[Key]:
        """Insert the records whose keys the table does not have; the keys that it had, or that it refuses, come back.

        Raises `EpochMoved`, `StoreDown`, `OutcomeUnknown`.
        """
        await self.prepare(conn)
        try:
            async with conn.transaction():
                return await self._insert_absent(conn, entity, epoch, records)
        except (Refused, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            failure = self.refusal(error, records)
            if not isinstance(failure, Refused):
                raise (failure or error) from None
        if len(records) <= 1:
            return frozenset(records)
        left = [await self.insert_absent(conn, entity, epoch, {key: record}) for key, record in records.items()]
        return frozenset().union(*left)

    async def _insert_absent(
        self, conn: Connection, entity: str, epoch: int, records: Mapping[Key, Record]
    ) -> frozenset[Key]:
        rows = self.rows(records)
        args: list[Any] = [entity, epoch, *self.arrays(rows)]
        side = self.side_effects("fresh", len(args) + 1, rows)
        fresh = self.insert_sql(3, "ON CONFLICT DO NOTHING")
        sql = f"WITH {FENCE}, fresh AS ({fresh}){side.ctes} SELECT ok, (SELECT array_agg(id) FROM fresh) FROM fence"
        row = await conn.fetchrow(sql, *args, *side.args)
        if row is None or not row[0]:
            raise EpochMoved(entity)
        return frozenset(records) - {self.key_of(id) for id in row[1] or ()}

    async def holders(self, conn: Connection, error: BaseException) -> tuple[Key, ...]:
        """Keys of the records that stand in the way of a unique violation; none for any other error.

        Asked after the failed statement, outside its transaction. Raises `StoreDown`.
        """
        query = self.holder_sql(error) if isinstance(error, asyncpg.UniqueViolationError) else None
        if query is None:
            return ()
        return tuple(self.key_of(row[0]) for row in await fetch(conn, query[0], *query[1]))

    def refusal(self, error: BaseException, states: Mapping[Key, Record | None]) -> StoreError | None:
        """The error of a put as `Refused` where the records are at fault; None when it is none of PostgreSQL's.

        ``key`` is set where only one record was put: PostgreSQL does not say which row of many it refuses.
        """
        failure = mapped(error, writing=True)
        if not isinstance(failure, Refused):
            return failure
        if isinstance(error, asyncpg.PostgresError):
            explained = self.explain(error, failure)
            if not isinstance(explained, Refused):
                return explained
            failure = explained
        if failure.key is None and len(states) == 1:
            failure.key = next(iter(states))
        return failure


async def fetch(conn: Connection, sql: str, *args: Any) -> list[asyncpg.Record]:
    """``conn.fetch`` for a read outside the engine. Raises `StoreDown`."""
    try:
        return await conn.fetch(sql, *args)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        failure = mapped(error, writing=False)
        if failure is None:
            raise
        raise failure from error


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(table: str) -> str:
    """``schema.table`` or ``table`` as a quoted, qualified name; the schema is ``public`` where none is said."""
    schema, _, name = table.rpartition(".")
    return f"{quoted(schema or 'public')}.{quoted(name)}"


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
