"""The layout of a real table: rows as a database designer made them, and what they cannot say in ``_rest``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.contract import Key, Record
from shadow_adapters.failures import Refused, StoreDown, StoreError
from shadow_adapters.postgres.compiler.table import TableResolver
from shadow_adapters.postgres.errors import key_detail
from shadow_adapters.postgres.layouts.base import Column, Layout, ScanPart, fetch, literal, qualified, quoted
from shadow_adapters.postgres.layouts.columns import Codec, IntegerCodec, TextCodec, UuidCodec, codec_of
from shadow_adapters.postgres.layouts.embedding import KEY_FUNCTIONS
from shadow_adapters.postgres.layouts.extended import to_extended
from shadow_adapters.postgres.layouts.ids import IdColumn, IntegerId, TextId, UuidId
from shadow_adapters.postgres.layouts.patch import CHANGED, Patch
from shadow_adapters.postgres.layouts.rest import escaped, join, split, tree_of
from shadow_adapters.postgres.pool import Connection

if TYPE_CHECKING:
    from shadow_adapters.postgres.compiler.resolver import Resolver

REST = "_rest"

_TYPES = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute AS a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
"""


class TableLayout(Layout):
    """Documents as rows of a table that exists already.

    Args:
        id_column: the primary key (or a unique column), which holds ``_id``.
        columns: the column of each field path. Raises `ValueError` where one path lies inside another.
    """

    def __init__(self, entity: str, table: str, id_column: str, columns: Mapping[str, str]) -> None:
        self.entity = entity
        self.table = qualified(table)
        self.id = quoted(id_column)
        self.paths = ("_id", *(path for path in columns if path != "_id"))
        self.names = (id_column, *(column for path, column in columns.items() if path != "_id"))
        self.tree = tree_of(self.paths)
        self.stored = ", ".join(f"t.{quoted(name)}" for name in (*self.names, REST))
        self.codecs: tuple[Codec, ...] = ()
        self._columns: tuple[Column, ...] = ()
        self._types_of: Mapping[str, str] = {}
        self._id: IdColumn = TextId("")
        self._resolver: Resolver | None = None

    @property
    def resolver(self) -> Resolver:
        if self._resolver is None:
            raise RuntimeError(f"the layout of {self.entity} has not been prepared")
        return self._resolver

    # -- the schema

    def ddl(self) -> list[str]:
        return [*KEY_FUNCTIONS, f"ALTER TABLE {self.table} ADD COLUMN IF NOT EXISTS {REST} jsonb"]

    def key_sql(self, row: str) -> str:
        return f"shadow_documents.key_of({row}.{self.id})"

    async def check(self, conn: Connection) -> list[str]:
        types = await self._types(conn)
        if not types:
            return [f"table {self.table} of entity {self.entity} does not exist: make it, or correct the mapping"]
        problems = []
        for path, name in zip(self.paths, self.names, strict=True):
            if name not in types:
                problems.append(f"{self.table} has no column {name}, which {path} is mapped to")
            elif codec_of(types[name]) is None:
                problems.append(
                    f"{self.table}.{name} is {types[name]}, which {path} cannot be kept in: leave it unmapped"
                )
            elif path == "_id" and _id_column("", codec_of(types[name])) is None:
                problems.append(f"{self.table}.{name} is {types[name]}; a key is kept in uuid, text or integer columns")
        if types.get(REST) != "jsonb":
            problems.append(f"{self.table} has no column {REST} of type jsonb: run `shadow schema`")
        return problems

    async def prepare(self, conn: Connection) -> None:
        if self._resolver is not None:
            return
        problems = await self.check(conn)
        if problems:
            raise StoreDown("; ".join(problems))
        types = await self._types(conn)
        codecs = tuple(codec for name in self.names if (codec := codec_of(types[name])) is not None)
        id = _id_column(f"t.{self.id}", codecs[0])
        assert id is not None
        sent = (Column(quoted(name), c.type, c.cast) for name, c in zip(self.names, codecs, strict=True))
        self.codecs, self._id, self.id_type, self._types_of = codecs, id, id.type, types
        self._columns = (*sent, Column(REST, "text", "::jsonb"))
        self._resolver = TableResolver(id, self.tree, dict(zip(self.paths, codecs, strict=True)), self.names)

    async def _types(self, conn: Connection) -> dict[str, str]:
        return {row[0]: row[1] for row in await fetch(conn, _TYPES, self.table)}

    # -- documents and rows

    def columns(self) -> Sequence[Column]:
        if not self._columns:
            raise RuntimeError(f"the layout of {self.entity} has not been prepared")
        return self._columns

    def id_of(self, key: Key) -> Any:
        return self._id.of(key)

    def key_of(self, id: Any) -> Key:
        return self._id.key(id)

    def row(self, key: Key, document: Mapping[str, Any], record: Record) -> Sequence[Any]:
        values, rest = split(document, self.tree, self.codecs)
        if self._id.of(key) is None:
            kind = type(document.get("_id")).__name__
            raise Refused(
                f"{self.table}.{self.id} ({self.id_type}) cannot hold an _id of type {kind}: "
                "map the entity to a key column of another type, or use the documents layout",
                kind="type",
                key=key,
            )
        sent = [codec.send(value) for codec, value in zip(self.codecs, values, strict=True)]
        return [*sent, json.dumps(rest, ensure_ascii=False, separators=(",", ":")) if rest else None]

    def document(self, stored: Sequence[Any]) -> dict[str, Any]:
        rest = stored[len(self.names)]
        return join(stored, json.loads(rest) if rest is not None else {}, self.tree, self.codecs)

    def record(self, stored: Sequence[Any]) -> Record:
        return encode(self.document(stored))

    def rows(self, states: Mapping[Key, Record]) -> list[Sequence[Any]]:
        return [self.row(key, decode(record), record) for key, record in states.items()]

    def scan_parts(self, after: Key | None) -> list[ScanPart]:
        return self._id.parts(after)

    def patch(self, id: Any, fields: Mapping[str, Any], first: int) -> Patch | None:
        """Sets columns that hold their field, and entries of the rest that are there: neither changes the order."""
        args: list[Any] = [id]
        sets, changes, conditions = [], [], [f"t.{self.id} = ${first}"]
        others: dict[str, Any] = {}
        for name, value in fields.items():
            node = self.tree.get(name)
            if node is None:
                others[escaped(name)] = to_extended(value)
                conditions.append(f"t.{REST} ? {literal(escaped(name))}")
                continue
            if not isinstance(node, int) or not (held := self.codecs[node].put(value))[1]:
                return None
            column = self._columns[node]
            fresh = f"${first + len(args)}::{column.type}{column.cast}"
            args.append(self.codecs[node].send(held[0]))
            sets.append(f"{column.name} = {fresh}")
            changes.append(f"t.{column.name} IS DISTINCT FROM {fresh}")
            in_rest = f"t.{REST} ? {literal(escaped(name))}"
            conditions.append(f"t.{column.name} IS NOT NULL AND ({in_rest}) IS NOT TRUE")
        if others:
            fresh = f"${first + len(args)}::text::jsonb"
            args.append(json.dumps(others, ensure_ascii=False))
            sets.append(f"{REST} = t.{REST} || {fresh}")
            changes.append(f"NOT t.{REST} @> {fresh}")
        where = f"{' AND '.join(conditions)} AND ({' OR '.join(changes)}) AND (SELECT ok FROM fence)"
        update = f"UPDATE {self.table} AS t SET {', '.join(sets)} WHERE {where} RETURNING 1"
        return Patch(f", put_rows AS ({update})", f"(SELECT {CHANGED} FROM put_rows)", args)

    # -- refusals

    def explain(self, error: asyncpg.PostgresError, failure: Refused) -> StoreError:
        if failure.kind == "length":
            return self._too_long(str(error))
        detail = key_detail(error)
        if detail is None or failure.kind not in ("unique", "foreign"):
            return failure
        if failure.kind == "unique" and detail[0] == self.names[0]:
            failure.conflicts = (self.key_of(self._id.parse(detail[1])),)
        elif failure.kind == "foreign" and detail[0] in self.names:
            id = _id_column("", self.codecs[self.names.index(detail[0])])
            failure.conflicts = (id.key(id.parse(detail[1])),) if id is not None else ()
        return failure

    def _too_long(self, message: str) -> Refused:
        """Names the columns that it may be: PostgreSQL's message tells only the type."""
        named = ", ".join(name for name in self.names if message.endswith(self._types_of[name])) or "its column"
        return Refused(
            f"a value is too long for {self.table} ({named}): widen the column, or shorten it", kind="length"
        )

    def holder_sql(self, error: asyncpg.PostgresError) -> tuple[str, list[Any]] | None:
        detail = key_detail(error)
        if detail is None or detail[0] not in self._types_of:
            return None  # of several columns, whose values the detail does not keep apart
        column = quoted(detail[0])
        sql = f"SELECT t.{self.id} FROM {self.table} AS t WHERE t.{column} = $1::text::{self._types_of[detail[0]]}"
        return sql, [detail[1]]

    def duplicate(self, error: asyncpg.PostgresError, document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        detail = key_detail(error)
        names = detail[0].split(", ") if detail else [self.names[0]]
        if names == [self.names[0]]:
            return "_id_", {"_id": document.get("_id")}
        paths = [self.paths[self.names.index(name)] if name in self.names else name for name in names]
        return getattr(error, "constraint_name", None) or "", {path: _at(document, path) for path in paths}


def _id_column(column: str, codec: Codec | None) -> IdColumn | None:
    if isinstance(codec, IntegerCodec):
        return IntegerId(column, codec)
    if isinstance(codec, UuidCodec):
        return UuidId(column)
    return TextId(column) if isinstance(codec, TextCodec) else None


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
