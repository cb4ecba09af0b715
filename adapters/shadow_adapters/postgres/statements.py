"""The SQL of the engine: selecting, inserting, replacing and deleting rows behind a gate.

Every text depends on the layout and the shape of the request only, never on values, so that asyncpg and PostgreSQL
prepare it once. Rows are changed *optimistically*: a row is written only if it is still the version (``xmin``) that
was read, which is as safe as locking it and takes one round trip less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shadow_adapters.contract import Key, Record
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.compiler.resolver import Args, Condition, FieldOrder
from shadow_adapters.postgres.layouts.base import Layout
from shadow_adapters.postgres.layouts.documents import IndexesChanged


class Found(NamedTuple):
    """A row as it was read: its primary key, its version, and what is stored."""

    id: Any
    version: int
    stored: Sequence[Any]


class Change(NamedTuple):
    """A document to be written over a row that was read."""

    row: Found
    document: Mapping[str, Any]
    record: Record


def select_one_sql(call: Call, gate: Gate, condition: Condition) -> str:
    """`select_sql` for a condition that at most one row meets: cheaper, for the gate can be asked beside the row."""
    layout = call.layout
    select = f"t.{layout.id} AS id, t.xmin AS version, {layout.stored} FROM"
    return f"SELECT {gate.sql} AS ok, {select} (SELECT) AS one LEFT JOIN {layout.table} AS t ON {condition.sql}"


def select_sql(call: Call, gate: Gate, condition: Condition, *, tail: str = "") -> str:
    """Rows that meet the condition: ``ok``, id, version, stored columns. ``tail`` is ORDER BY, LIMIT or FOR UPDATE.

    With a gate the first row is there even if no row is found (its id is null then), to carry the gate's word. The gate
    is materialized, or PostgreSQL would ask it anew wherever its word is used.
    """
    layout = call.layout
    select = f"t.{layout.id} AS id, t.xmin AS version, {layout.stored} FROM {layout.table} AS t WHERE "
    if not gate.args:
        return f"SELECT true AS ok, {select} {condition.sql} {tail}"
    return (
        f"WITH r AS MATERIALIZED (SELECT {gate.sql} AS ok) SELECT r.ok, x.* FROM r "
        f"LEFT JOIN LATERAL (SELECT {select} r.ok AND ({condition.sql}) {tail}) AS x ON true"
    )


def find_record_sql(layout: Layout, gate: Gate) -> str:
    """One row by its id, sent as the parameter behind the gate's: ``ok``, id (null where there is none), columns."""
    condition = f"t.{layout.id} = ${len(gate.args) + 1}::{layout.id_type}"
    source = f"(SELECT) AS one LEFT JOIN {layout.table} AS t ON {condition}"
    return f"SELECT {gate.sql} AS ok, t.{layout.id} AS id, {layout.stored} FROM {source}"


def select_ordered_sql(
    call: Call, gate: Gate, condition: Condition, order: FieldOrder, limit: str | None = None
) -> str:
    """All rows that an order misplaces, then the others in the order; the last column tells the latter.

    ``limit``: of each of the two parts. One statement, so that a row which moves from one part to the other is seen in
    one of them.
    """
    layout = call.layout
    select = f"SELECT t.{layout.id} AS id, t.xmin AS version, {layout.stored}"
    table = f"{layout.table} AS t"
    misplaced = f"{select}, false AS placed FROM {table} WHERE r.ok AND ({condition.sql}) AND {order.misplaced}"
    placed = f"{select}, true FROM {order.source or table} WHERE r.ok AND ({condition.sql})"
    if not order.source:
        placed += f" AND NOT {order.misplaced}"
    tail = "" if limit is None else f" LIMIT {limit}"
    return (
        f"WITH r AS MATERIALIZED (SELECT {gate.sql} AS ok) SELECT r.ok, x.* FROM r LEFT JOIN LATERAL ("
        f"({misplaced}{tail}) UNION ALL ({placed} ORDER BY {order.sql}{tail})) AS x ON true"
    )


def found(rows: Sequence[Any]) -> list[Found]:
    """The rows of `select_sql`."""
    return [Found(row[1], row[2], row[3:]) for row in rows if row[2] is not None]


async def select(
    call: Call, gate: Gate, condition: Condition, args: Sequence[Any], *, tail: str = "", writing: bool = False
) -> list[Found]:
    """Fetch the rows of `select_sql`; ``args`` begin with the gate's."""
    return found(await call.fetch(gate, select_sql(call, gate, condition, tail=tail), args, writing=writing))


async def insert(call: Call, records: Sequence[tuple[Key, Mapping[str, Any], Record]], *, absent: bool) -> set[Key]:
    """Insert documents in one statement; the keys that were inserted.

    ``absent``: leave out what conflicts instead of failing. Raises `Refused` (its cause is PostgreSQL's error).
    """
    layout, gate = call.layout, call.write_gate()
    conflict = f"ON CONFLICT ({layout.id}) DO NOTHING" if absent else ""
    single = len(records) == 1

    def statement() -> tuple[str, list[Any]]:
        rows = [layout.row(*record) for record in records]
        args = [*gate.args, *(rows[0] if single else layout.arrays(rows))]
        side = layout.side_effects("put_rows", len(args) + 1, rows)
        if single and not gate.args and not side.ctes:
            return layout.insert_row_sql(conflict), args
        body = layout.insert_sql(len(gate.args) + 1, conflict, single=single)
        return _written(gate, f"put_rows AS ({body}){side.ctes}"), args + side.args

    return {layout.key_of(id) for id in await _write(call, gate, statement)}


async def replace(call: Call, changes: Sequence[Change]) -> set[Any]:
    """Write documents over their rows in one statement; the ids of the rows that were still as read."""
    layout, gate = call.layout, call.write_gate()
    columns = layout.columns()[1:]
    first = len(gate.args) + 1

    def statement() -> tuple[str, list[Any]]:
        rows = [layout.row(layout.key_of(change.row.id), change.document, change.record) for change in changes]
        versions = [change.row.version for change in changes]
        arrays = layout.arrays(rows)
        args = [*gate.args, arrays[0], versions, *arrays[1:]]
        side = layout.side_effects("put_rows", len(args) + 1, rows)
        names = ", ".join(["id", "version", *(column.name for column in columns)])
        types = [layout.id_type, "xid", *(column.type for column in columns)]
        unnest = ", ".join(f"${first + i}::{kind}[]" for i, kind in enumerate(types))
        sets = ", ".join(f"{column.name} = u.{column.name}{column.cast}" for column in columns)
        body = (
            f"put_rows AS (UPDATE {layout.table} AS t SET {sets} FROM unnest({unnest}) AS u({names}) "
            f"WHERE t.{layout.id} = u.id AND t.xmin = u.version AND (SELECT ok FROM fence) "
            f"RETURNING t.{layout.id} AS id)"
        )
        return _written(gate, body + side.ctes), args + side.args

    return await _write(call, gate, statement)


async def delete(call: Call, rows: Sequence[Found]) -> set[Any]:
    """Delete rows in one statement; the ids of those that were still as read."""
    layout, gate = call.layout, call.write_gate()
    first = len(gate.args) + 1
    body = (
        f"put_rows AS (DELETE FROM {layout.table} AS t USING unnest(${first}::{layout.id_type}[], ${first + 1}::xid[]) "
        f"AS u(id, version) WHERE t.{layout.id} = u.id AND t.xmin = u.version AND (SELECT ok FROM fence) "
        f"RETURNING t.{layout.id} AS id)"
    )
    args = [*gate.args, [row.id for row in rows], [row.version for row in rows]]
    return await _write(call, gate, lambda: (_written(gate, body), args))


async def delete_where(call: Call, gate: Gate, condition: Condition, args: Args) -> int:
    """Delete every row that meets an exact condition; ``args`` begin with the gate's. The number deleted."""
    body = f"put_rows AS (DELETE FROM {call.layout.table} AS t WHERE (SELECT ok FROM fence) AND ({condition.sql}) "
    sql = f"{_fence(gate)}, {body} RETURNING 1) SELECT ok, (SELECT count(*) FROM put_rows) FROM fence"
    rows = await call.fetch(gate, sql, args.values, writing=True)
    return int(rows[0][1])


async def patch(call: Call, id: Any, fields: Mapping[str, Any]) -> int | None:
    """Set fields of one document in one statement; `layouts.patch` says what the outcome means, None: read it first."""
    gate = call.write_gate()
    plan = call.layout.patch(id, fields, len(gate.args) + 1)
    if plan is None:
        return None
    sql = f"{_fence(gate)}{plan.ctes} SELECT ok, CASE WHEN ok THEN {plan.outcome} END FROM fence"
    if not gate.args and not plan.ctes:
        sql = f"SELECT true, {plan.outcome}"
    try:
        rows = await call.fetch(gate, sql, [*gate.args, *plan.args], writing=True)
    except IndexesChanged:
        if call.conn.is_in_transaction():
            raise
        await call.layout.prepare(call.conn)
        return None
    outcome: int | None = rows[0][1]
    return outcome


def _fence(gate: Gate) -> str:
    return f"WITH fence AS MATERIALIZED (SELECT {gate.sql} AS ok)"


def _written(gate: Gate, ctes: str) -> str:
    return f"{_fence(gate)}, {ctes} SELECT ok, (SELECT array_agg(id) FROM put_rows) FROM fence"


async def _write(call: Call, gate: Gate, statement: Any) -> set[Any]:
    """Run a write whose rows depend on the indexes known; once more where there is a new one."""
    try:
        sql, args = statement()
        rows = await call.fetch(gate, sql, args, writing=True)
    except IndexesChanged:
        if call.conn.is_in_transaction():
            raise
        await call.layout.prepare(call.conn)
        sql, args = statement()
        rows = await call.fetch(gate, sql, args, writing=True)
    return set(rows[0][1] or ()) if rows else set()
