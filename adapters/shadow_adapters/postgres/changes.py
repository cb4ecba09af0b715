"""Changing the records that a query finds, without losing what somebody else changes meanwhile.

Read, compute, write if the row is still as read. A row that was overtaken is read again; after a few defeats it is
locked first, so that a hot record is slow at worst, never starved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from shadow_adapters.bson.limits import checked_record
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import WRITE_CONFLICT, Call, Gate
from shadow_adapters.postgres.compiler.resolver import Args, Condition
from shadow_adapters.postgres.layouts.documents import IndexesChanged
from shadow_adapters.postgres.query import Document, Match, Query, first_match, matching_rows, transaction
from shadow_adapters.postgres.statements import Change, delete, replace, select

_OPTIMISTIC = 3
_TRIES = 6

Edit = Callable[[Document], Document | None]
"""From a document to the one in its place; None deletes it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One record that was found: the document before, after, and whether they differ."""

    before: Document
    after: Document | None
    modified: bool


async def change_one(call: Call, query: Query, edit: Edit) -> Changed | None:
    """Change the first record that the query finds; None when it finds none. The query's limit must be 1."""
    gate = call.write_gate()
    attempt = 0
    while (match := await first_match(call, gate, query)) is not None:
        attempt += 1
        if attempt > _OPTIMISTIC:
            changed = await _change_locked(call, query, match, edit)
        else:
            changed = await _change(call, match, edit)
        if changed is not None:
            return changed
    return None


async def _change_locked(call: Call, query: Query, match: Match, edit: Edit) -> Changed | None:
    async with transaction(call):
        locked = await _lock(call, call.write_gate(), query, [match[0].id])
        return await _change(call, locked[0], edit) if locked else None


async def _change(call: Call, match: Match, edit: Edit) -> Changed | None:
    """The change made; None where the row was overtaken."""
    row, before = match
    after = edit(before)
    if after is None:
        return Changed(before, None, True) if await delete(call, [row]) else None
    record = checked_record(after)
    if record == call.layout.record(row.stored):
        return Changed(before, after, False)
    return Changed(before, after, True) if await replace(call, [Change(row, after, record)]) else None


async def change_many(call: Call, query: Query, edit: Edit) -> tuple[int, int]:
    """Change every record that the query finds, in one transaction; the numbers found and modified.

    As MongoDB does, it is tried again by itself where it met other writers half-way.
    """
    outer = call.conn.is_in_transaction()
    for left in range(_TRIES - 1, -1, -1):
        try:
            return await _change_many(call, query, edit)
        except IndexesChanged:
            if outer or not left:
                raise
            await call.layout.prepare(call.conn)
        except CommandFailure as failure:
            if outer or not left or failure.code != WRITE_CONFLICT:
                raise
    raise AssertionError("the last try returns or raises")


async def _change_many(call: Call, query: Query, edit: Edit) -> tuple[int, int]:
    gate = call.write_gate()
    total = modified = 0
    async with transaction(call), aclosing(matching_rows(call, gate, query)) as stream:
        async for matches in stream:
            left: Sequence[Match] = matches
            while left:
                done, touched, overtaken = await _change_batch(call, left, edit)
                total, modified = total + done, modified + touched
                left = await _lock(call, gate, query, overtaken) if overtaken else ()
    return total, modified


async def _change_batch(call: Call, matches: Sequence[Match], edit: Edit) -> tuple[int, int, list[Any]]:
    """How many were found and modified, and the ids of those that were overtaken."""
    changes, gone = [], []
    for row, before in matches:
        after = edit(before)
        if after is None:
            gone.append(row)
        elif (record := checked_record(after)) != call.layout.record(row.stored):
            changes.append(Change(row, after, record))
    done = await delete(call, gone) if gone else set()
    done |= await replace(call, changes) if changes else set()
    wanted = [row.id for row in gone] + [change.row.id for change in changes]
    overtaken = [id for id in wanted if id not in done]
    return len(matches) - len(overtaken), len(done), overtaken


async def _lock(call: Call, gate: Gate, query: Query, ids: Sequence[Any]) -> list[Match]:
    """Lock rows by id and read them anew; those that still match."""
    layout = call.layout
    args = Args(*gate.args)
    condition = Condition(f"t.{layout.id} = ANY({args.add(list(ids))}::{layout.id_type}[])", True)
    tail = f"ORDER BY t.{layout.id} FOR UPDATE"
    rows = await select(call, gate, condition, args.values, tail=tail, writing=True)
    pairs = list(zip(rows, layout.documents(row.stored for row in rows), strict=True))
    return [pair for pair in pairs if query.matcher.matches(pair[1])]
