"""The exact layout: BSON bytes are the truth, found by the byte key of ``_id``.

    k    byte key of ``_id``: PostgreSQL's B-tree gives BSON's order and equality
    doc  the record
    q    a projection that may match too much, never too little (`projection`)
    v    number of the youngest change of the indexes when the row was written

Beside the table lie ``<table>$index`` (specifications) and ``<table>$term`` (which document has which term under them).
A process that does not know the indexes would write rows without their terms: the table's constraint
``known_indexes`` refuses its rows, and it learns them anew. One that knows an index which is gone would look for
documents by terms that are gone as well: the function ``<table>$bound`` refuses its query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import asyncpg

from shadow_adapters.bson.codec import decode, decode_all, encode
from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import CommandFailure, Refused, StoreDown, StoreError
from shadow_adapters.postgres.compiler.documents import DocumentsResolver
from shadow_adapters.postgres.compiler.indexes import Access, Tables, choose, with_terms
from shadow_adapters.postgres.errors import key_detail
from shadow_adapters.postgres.layouts.base import Column, Layout, PutPlan, ScanPart, fetch, qualified
from shadow_adapters.postgres.layouts.patch import LARGEST, NUMBER_FUNCTIONS, Patch, table_function
from shadow_adapters.postgres.layouts.projection import TYPED, project, project_fields
from shadow_adapters.postgres.layouts.terms import Index, TextIndex, bound_function, index_of
from shadow_adapters.postgres.pool import Connection

if TYPE_CHECKING:
    from shadow_adapters.postgres.compiler.resolver import Args, Condition, Resolver

_LONGEST_NAME = 48  # bytes; PostgreSQL takes 63
KNOWN_INDEXES = "known_indexes"

_COLUMNS = (Column("k", "bytea"), Column("doc", "bytea"), Column("q", "text", "::jsonb"), Column("v", "integer"))


class IndexesChanged(StoreDown):
    """The collection has an index that this process did not know; it does now at the next try."""


class DocumentsLayout(Layout):
    """Documents as BSON bytes in a table of Shadow's own."""

    id = "k"
    id_type = "bytea"
    stored = "t.doc"

    def __init__(self, entity: str, table: str) -> None:
        self.entity = entity
        self.table = qualified(table)
        self.index_table = _beside(table, "index")
        self.term_table = _beside(table, "term")
        self.set_function = _beside(table, "set")
        self._term_index = _beside(table, "term_k").rpartition(".")[2]
        self._bound_function = _beside(table, "bound")
        self.indexes: tuple[Index | TextIndex, ...] = ()
        self.version = 0  # number of the youngest change of the indexes that this process knows
        self._prepared = False
        self._resolver = DocumentsResolver()

    @property
    def resolver(self) -> Resolver:
        return self._resolver

    # -- the schema

    def ddl(self) -> list[str]:
        return [
            "CREATE SCHEMA IF NOT EXISTS shadow_documents",
            f"CREATE SCHEMA IF NOT EXISTS {self.table.rpartition('.')[0]}",
            f"CREATE TABLE IF NOT EXISTS {self.table} (k bytea PRIMARY KEY, doc bytea NOT NULL, q jsonb NOT NULL, "
            "v integer NOT NULL) WITH (fillfactor = 80)",
            f"ALTER TABLE {self.table} ALTER COLUMN doc SET STORAGE EXTERNAL",
            f"CREATE TABLE IF NOT EXISTS {self.index_table} (number integer PRIMARY KEY, spec bytea NOT NULL, "
            "ready boolean NOT NULL DEFAULT false)",
            f"CREATE TABLE IF NOT EXISTS {self.term_table} (ik bytea PRIMARY KEY, k bytea NOT NULL "
            f"REFERENCES {self.table} (k) ON DELETE CASCADE)",
            f"CREATE INDEX IF NOT EXISTS {self._term_index} ON {self.term_table} (k)",
            *NUMBER_FUNCTIONS,
            table_function(self.set_function, self.table),
            bound_function(self._bound_function, self.index_table),
        ]

    def key_sql(self, row: str) -> str:
        return f"{row}.k"

    async def check(self, conn: Connection) -> list[str]:
        found = await fetch(conn, "SELECT to_regclass($1), to_regclass($2)", self.table, self.index_table)
        if None in tuple(found[0]):
            return [f"table {self.table} of entity {self.entity} is missing: run `shadow schema`"]
        return []

    async def prepare(self, conn: Connection) -> None:
        if self._prepared:
            return
        if problems := await self.check(conn):
            raise StoreDown("; ".join(problems))
        rows = await fetch(conn, f"SELECT number, spec, ready FROM {self.index_table} ORDER BY number")
        self.version = rows[-1][0] if rows else 0
        self.indexes = tuple(
            index_of(number, spec, ready=ready) for number, stored, ready in rows if (spec := decode(stored))
        )
        self._prepared = True

    def forget(self) -> None:
        self._prepared = False

    # -- documents and rows

    def columns(self) -> Sequence[Column]:
        return _COLUMNS

    def id_of(self, key: Key) -> bytes:
        return key

    def key_of(self, id: bytes) -> Key:
        return id

    def row(self, key: Key, document: Mapping[str, Any], record: Record) -> Sequence[Any]:
        return key, record, project(document), self.version

    def document(self, stored: Sequence[Any]) -> dict[str, Any]:
        return decode(stored[0])

    def documents(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        return decode_all(b"".join([stored[0] for stored in rows]))

    def record(self, stored: Sequence[Any]) -> Record:
        return bytes(stored[0])

    def rows(self, states: Mapping[Key, Record]) -> list[Sequence[Any]]:
        return [self.row(key, decode(record), record) for key, record in states.items()]

    def scan_parts(self, after: Key | None) -> list[ScanPart]:
        return [ScanPart("true", "t.k", () if after is None else (after,))]

    def patch(self, id: bytes, fields: Mapping[str, Any], first: int) -> Patch | None:
        if TYPED in fields or any(index.depends_on(fields) for index in self.indexes):
            return None
        names = [name.encode() for name in fields]
        elements = [encode({name: value})[4:-1] for name, value in fields.items()]
        if sum(map(len, elements)) > LARGEST:
            return None
        numbers = ", ".join(f"${first + i}" for i in range(3))
        outcome = f"{self.set_function}({numbers}, ${first + 3}::text::jsonb, ${first + 4})"
        return Patch("", outcome, [id, names, elements, project_fields(fields), self.version])

    # -- indexes

    def access(
        self, filter: Mapping[str, Any], sort: Mapping[str, Any] | None, args: Args, collation: Collation = SIMPLE
    ) -> Access | None:
        ready = [index for index in self.indexes if isinstance(index, Index) and index.ready]
        if not ready:
            return None
        return choose(ready, filter, sort, Tables(self.table, self.term_table, self._bound_function), args, collation)

    @property
    def text_index(self) -> TextIndex | None:
        return next((index for index in self.indexes if isinstance(index, TextIndex) and index.ready), None)

    def text_access(self, terms: Sequence[str], args: Args) -> Condition:
        index = self.text_index
        assert index is not None
        return with_terms(index, terms, Tables(self.table, self.term_table, self._bound_function), args)

    def expiries(self) -> Mapping[str, float]:
        return {
            next(iter(index.key)): index.expires for index in self.indexes if index.ready and index.expires is not None
        }

    def side_effects(self, source: str, first: int, rows: Sequence[Sequence[Any]], *, gone: str = "") -> PutPlan:
        if not self.indexes:
            return PutPlan("", [])
        held = [(ik, row[0]) for row in rows for ik in self._terms(row)]
        new = f"(SELECT * FROM unnest(${first}::bytea[], ${first + 1}::bytea[]) AS n(ik, k))"
        # The terms of deleted rows go here as well: the foreign key's cascade would come after the new ones
        changed = f"SELECT id FROM {source}" + (f" UNION ALL SELECT id FROM {gone}" if gone else "")
        ctes = (
            f", put_terms AS (SELECT n.ik, n.k FROM {new} AS n WHERE n.k IN (SELECT id FROM {source})), "
            f"put_freed AS (DELETE FROM {self.term_table} AS u WHERE u.k IN ({changed}) "
            "AND NOT EXISTS (SELECT FROM put_terms AS n WHERE n.ik = u.ik AND n.k = u.k) RETURNING 1), "
            f"put_held AS (INSERT INTO {self.term_table} (ik, k) SELECT n.ik, n.k FROM put_terms AS n "
            "WHERE (SELECT count(*) FROM put_freed) >= 0 AND NOT EXISTS "
            f"(SELECT FROM {self.term_table} AS u WHERE u.ik = n.ik AND u.k = n.k))"
        )
        return PutPlan(ctes, [[ik for ik, _ in held], [k for _, k in held]])

    def _terms(self, row: Sequence[Any]) -> list[bytes]:
        document = decode(row[1])
        try:
            return [ik for index in self.indexes for ik in index.terms(document, row[0])]
        except CommandFailure as error:
            raise Refused(f"{error.message}: change the record or the index", kind="unique", key=row[0]) from error

    def duplicate(self, error: asyncpg.PostgresError, document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        detail = key_detail(error)
        if detail is not None and detail[0] == "ik":
            ik = _bytea(detail[1])
            for index in self.indexes:
                if index.unique and (values := index.terms(document, b"").get(ik)) is not None:
                    return index.name, values
        return "_id_", {"_id": document.get("_id")}

    def holder_sql(self, error: asyncpg.PostgresError) -> tuple[str, list[Any]] | None:
        detail = key_detail(error)
        if detail is None or detail[0] != "ik":
            return None
        return f"SELECT k FROM {self.term_table} WHERE ik = $1", [_bytea(detail[1])]

    def explain(self, error: asyncpg.PostgresError, failure: Refused) -> StoreError:
        if getattr(error, "constraint_name", None) == KNOWN_INDEXES:
            self.forget()
            return IndexesChanged(f"entity {self.entity} has a new index; the next try knows it")
        detail = key_detail(error)
        if failure.kind != "unique" or detail is None:
            return failure
        if detail[0] == "k":
            failure.conflicts = (_bytea(detail[1]),)
        elif detail[0] == "ik":
            number = int.from_bytes(_bytea(detail[1])[:4], "big")
            names = [index.name for index in self.indexes if index.number == number]
            reason = f"another record has the same value under unique index {names[0] if names else number}"
            return Refused(f"{reason}: change one of the two", kind="unique")
        return failure


def _beside(table: str, what: str) -> str:
    """The name of what lies beside a table; a long one is cut, for PostgreSQL would cut them all to the same."""
    schema, dot, name = table.rpartition(".")
    if len(name.encode()) > _LONGEST_NAME:
        name = name.encode()[: _LONGEST_NAME - 9].decode(errors="ignore") + "_" + sha256(name.encode()).hexdigest()[:8]
    return qualified(f"{schema}{dot}{name}${what}")


def _bytea(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("\\x"))
