"""Reading the documents that a filter matches: SQL finds at least those, the matcher rechecks, sort and limit follow.

Where SQL is exact, sort (by ``_id``), skip and limit are its work. Where it is not, rows are streamed through a cursor
in batches and rechecked, so that memory holds one batch, or what is being sorted. A short answer is first looked for
among a few rows, which spares the cursor its transaction.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from bson.int64 import Int64
from bson.objectid import ObjectId

from shadow_adapters.bson import keys
from shadow_adapters.bson.collation import SIMPLE, Collation
from shadow_adapters.bson.match import Matcher, compile_filter, equality_id
from shadow_adapters.bson.match.text import TextMatch, check_prefix, split_text, uses_text
from shadow_adapters.bson.order import by_score, compile_sort
from shadow_adapters.contract import Key, may_be_legacys
from shadow_adapters.failures import CommandFailure, NotReadable
from shadow_adapters.postgres.call import Call, Gate
from shadow_adapters.postgres.compiler.collated import without_texts
from shadow_adapters.postgres.compiler.resolver import Args, Condition, FieldOrder
from shadow_adapters.postgres.compiler.where import where
from shadow_adapters.postgres.errors import ERRORS
from shadow_adapters.postgres.layouts.documents import DocumentsLayout
from shadow_adapters.postgres.layouts.terms import TextIndex
from shadow_adapters.postgres.statements import Found, found, select, select_one_sql, select_ordered_sql, select_sql

BATCH = 200
_PROBE = 32
_PARTING = 1.0
"""Seconds that a rollback may take after which nobody waits."""

_PLAIN_IDS = (ObjectId, str, int, Int64)
_ANY = Matcher(lambda _: True)

Document = dict[str, Any]
Match = tuple[Found, Document]
SortKey = Callable[[Mapping[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled filter with sort, skip and limit (0: none).

    ``order`` is the sort as SQL, where SQL can do it. ``fields``: the sort as SQL, but for some rows. ``named``: the
    filter is one ``_id`` and nothing else. ``index``: the index that serves it. ``text``: the filter's ``$text``.
    """

    condition: Condition
    args: Args
    matcher: Matcher
    sort: SortKey | None = None
    order: str | None = None
    skip: int = 0
    limit: int = 0
    named: bool = False
    fields: FieldOrder | None = None
    index: str | None = None
    text: TextMatch | None = None

    @property
    def pushed(self) -> bool:
        """Whether SQL does everything."""
        return self.condition.exact and (self.sort is None or self.order is not None)


def key_of_filter(filter: Mapping[str, Any], collation: Collation = SIMPLE) -> Key | None:
    """The byte key of the one record that a filter names, if it names one. Under a collation a text names many."""
    fixed, value = equality_id(filter)
    return keys.encode(value) if fixed and collation is SIMPLE else None


def named_key(filter: Mapping[str, Any]) -> Key | None:
    """The byte key of a filter that is one ``_id`` and nothing else."""
    named = len(filter) == 1 and type(filter.get("_id")) in _PLAIN_IDS
    return keys.encode(filter["_id"]) if named else None


def compile_query(
    call: Call,
    gate: Gate,
    filter: Mapping[str, Any],
    *,
    sort: Any = None,
    skip: int = 0,
    limit: int = 0,
    variables: Mapping[str, Any] | None = None,
    collation: Collation = SIMPLE,
) -> Query:
    """Compile a filter; the gate's parameters come first. Raises `CommandFailure`.

    Args:
        variables: what ``$expr`` may use, by name; None for the call's time alone.
        collation: how texts compare; SQL is asked of everything else, and the rest is decided here.
    """
    args = Args(*gate.args)
    variables = {"NOW": call.now} if variables is None else variables
    if uses_text(filter):
        query = _searching(call, args, filter, sort, variables, collation)
        return replace(query, skip=skip, limit=limit)
    if sort and by_score(sort):
        raise CommandFailure(40218, "query requires text score metadata, but it is not available")
    if collation is not SIMPLE:
        matcher = compile_filter(filter, variables, collation)
        access = call.layout.access(filter, sort, args, collation)
        condition = Condition(where(without_texts(filter), call.layout.resolver, args).sql)
        if access is not None and access.condition is not None:
            condition = Condition(f"{access.condition.sql} AND ({condition.sql})")
        key = compile_sort(sort, collation) if sort else None
        index = None if access is None else access.name
        return Query(condition, args, matcher, key, skip=skip, limit=limit, index=index)
    if len(filter) == 1 and type(filter.get("_id")) in _PLAIN_IDS and not skip:
        return Query(call.layout.resolver.ids([filter["_id"]], args), args, _ANY, named=True)
    matcher = compile_filter(filter, variables)
    key, order = (compile_sort(sort), _order(call, sort)) if sort else (None, None)
    fields = call.layout.resolver.field_order(sort) if sort and order is None else None
    access = call.layout.access(filter, sort if order is None else None, args)
    if access is None:
        condition = where(filter, call.layout.resolver, args)
        return Query(condition, args, matcher, key, order, skip, limit, fields=fields)
    condition = Condition(where(access.rest, call.layout.resolver, args).sql, exact=not filter)
    if access.condition is not None:
        condition = Condition(f"{access.condition.sql} AND ({condition.sql})")
    fields = access.order or fields
    return Query(condition, args, matcher, key, order, skip, limit, fields=fields, index=access.name)


def _searching(
    call: Call, args: Args, filter: Mapping[str, Any], sort: Any, variables: Mapping[str, Any], collation: Collation
) -> Query:
    """The query of a filter that has a ``$text``."""
    argument, rest = split_text(filter)
    index = text_index(call)
    if collation is not SIMPLE:
        raise CommandFailure(2, "$text is not served under a collation", unsupported="collation with $text")
    text = TextMatch(argument, index.definition)
    others = compile_filter(rest, variables)
    check_prefix(rest, index.definition)
    matcher = Matcher(lambda document: others.matches(document) and text.matches(document), rest)
    key = compile_sort(sort, score=text.score) if sort else None
    searched = call.layout.text_access(text.terms, args)
    condition = Condition(f"{searched.sql} AND ({where(rest, call.layout.resolver, args).sql})")
    order = _order(call, sort) if sort and not by_score(sort) else None
    return Query(condition, args, matcher, key, order, index=index.name, text=text)


def text_index(call: Call) -> TextIndex:
    """The index by which ``$text`` searches.

    Raises `CommandFailure` 27 where there is none, `NotReadable` where the authority may have one that is not yet here.
    """
    layout = call.layout
    index = layout.text_index
    if index is None:
        if isinstance(layout, DocumentsLayout) and may_be_legacys(call.fence):
            raise NotReadable(layout.entity)
        raise CommandFailure(27, "text index required for $text query", unsupported="$text")
    return index


def within(query: Query, place: Callable[[Mapping[str, Any]], bytes | None]) -> Query:
    """The query for those of its records that have a place somewhere, in the order of their places if it has no other.

    Of both SQL knows nothing.
    """
    matches = query.matcher.matches
    matcher = Matcher(lambda document: matches(document) and place(document) is not None)
    found = replace(query, condition=Condition(query.condition.sql), matcher=matcher, named=False)
    return found if query.sort is not None else replace(found, sort=lambda document: place(document) or b"")


def _order(call: Call, sort: Mapping[str, Any]) -> str | None:
    first = next(iter(sort))  # what follows _id decides nothing: no two are equal
    return call.layout.resolver.id_order(sort[first] == -1) if first == "_id" else None


async def fetch_all(call: Call, gate: Gate, query: Query) -> list[Document]:
    """Everything that the query asks for."""
    few = await _few(call, gate, query) if query.pushed or query.limit else None
    if few is not None:
        return few
    async with aclosing(_streamed(call, gate, query)) as stream:
        return [document async for batch in stream for document in batch]


async def select_pushed(call: Call, gate: Gate, query: Query) -> list[Found]:
    """The rows of a query that SQL answers alone."""
    if query.named:
        sql = select_one_sql(call, gate, query.condition)
        return found(await call.fetch(gate, sql, query.args.values, writing=False))
    args = Args(*query.args.values)
    return await select(call, gate, query.condition, args.values, tail=_tail(query, args))


def _tail(query: Query, args: Args) -> str:
    parts = [f"ORDER BY {query.order}"] if query.order else []
    if query.pushed and query.limit:
        parts.append(f"LIMIT {args.add(query.limit)}::bigint")
    if query.pushed and query.skip:
        parts.append(f"OFFSET {args.add(query.skip)}::bigint")
    return " ".join(parts)


async def first_match(call: Call, gate: Gate, query: Query) -> Match | None:
    """The first row that the query asks for. Its limit must be 1."""
    if query.pushed:
        rows = await select_pushed(call, gate, query)
        return (rows[0], call.layout.document(rows[0].stored)) if rows else None
    probed = await _probe(call, gate, query)
    if probed is not None:
        return probed[0] if probed else None
    if query.fields is not None:
        return await _first(ordered_rows(call, gate, query))
    if query.sort is None or query.order is not None:
        return await _first(matching_rows(call, gate, query))
    best: tuple[bytes, Match] | None = None
    async with aclosing(matching_rows(call, gate, query)) as stream:
        async for pairs in stream:
            for pair in pairs:
                key = query.sort(pair[1])
                if best is None or key < best[0]:
                    best = key, pair
    return best[1] if best else None


async def _first(batches: AsyncGenerator[list[Match]]) -> Match | None:
    async with aclosing(batches) as stream:
        async for pairs in stream:
            return pairs[0]
    return None


async def _probe(call: Call, gate: Gate, query: Query) -> list[Match] | None:
    """The answer, if the first few rows (in order, where it is sorted) hold all of it; None if they do not."""
    if query.sort is not None and query.order is None:
        return await _probe_ordered(call, gate, query, query.sort) if query.fields is not None else None
    wanted = query.skip + query.limit
    args = Args(*query.args.values)
    order = f"ORDER BY {query.order} " if query.order else ""
    tail = f"{order}LIMIT {args.add(2 * wanted + _PROBE)}::bigint"
    rows = await select(call, gate, query.condition, args.values, tail=tail)
    matching = _matching(call, query, rows)
    enough = len(rows) < 2 * wanted + _PROBE or len(matching) >= wanted
    return matching[query.skip : wanted] if enough else None


async def _probe_ordered(call: Call, gate: Gate, query: Query, sort: SortKey) -> list[Match] | None:
    """`_probe` for an order that misplaces some rows: those are all fetched, and put in their places here."""
    assert query.fields is not None
    wanted = query.skip + query.limit
    size = wanted + _PROBE // 4 if query.index is not None else 2 * wanted + _PROBE
    args = Args(*query.args.values)
    sql = select_ordered_sql(call, gate, query.condition, query.fields, f"{args.add(size)}::bigint")
    rows = found(await call.fetch(gate, sql, args.values, writing=False))
    odd = [row for row in rows if not row.stored[-1]]
    placed = [row for row in rows if row.stored[-1]]
    misplaced = {row.id for row in odd}
    first = _matching(call, query, [row for row in placed if row.id not in misplaced])
    if len(odd) == size or (len(placed) == size and len(first) < wanted):
        return None
    if odd:
        first = sorted(first + _matching(call, query, odd), key=lambda match: sort(match[1]))
    return first[query.skip : wanted]


def _matching(call: Call, query: Query, rows: Sequence[Found]) -> list[Match]:
    """The rows that match, with their documents."""
    pairs = list(zip(rows, call.layout.documents(row.stored for row in rows), strict=True))
    return pairs if query.condition.exact else [pair for pair in pairs if query.matcher.matches(pair[1])]


async def batches(call: Call, gate: Gate, query: Query) -> AsyncGenerator[list[Document]]:
    """Everything that the query asks for, a batch at a time. To be closed (`aclosing`).

    A few documents come by one statement: a cursor would cost five round trips.
    """
    few = await _few(call, gate, query) if query.limit and query.skip + query.limit <= BATCH else None
    if few is None:
        async with aclosing(_streamed(call, gate, query)) as stream:
            async for documents in stream:
                yield documents
    elif few:
        yield few


async def _few(call: Call, gate: Gate, query: Query) -> list[Document] | None:
    """The answer, if one statement has all of it."""
    if query.pushed:
        return call.layout.documents(row.stored for row in await select_pushed(call, gate, query))
    probed = await _probe(call, gate, query)
    return None if probed is None else [document for _, document in probed]


async def _streamed(call: Call, gate: Gate, query: Query) -> AsyncGenerator[list[Document]]:
    """`batches` through a cursor."""
    if query.sort is not None and query.order is None and query.fields is None:
        yield await _sorted(call, gate, query)
        return
    skip, left = (0, 0) if query.pushed else (query.skip, query.limit)
    stream = matching_rows if query.fields is None else ordered_rows
    async with aclosing(stream(call, gate, query)) as source:
        async for rows in source:
            documents = [document for _, document in rows][skip:]
            skip = max(0, skip - len(rows))
            if left and len(documents) >= left:
                yield documents[:left]
                return
            left -= len(documents) if left else 0
            if documents:
                yield documents


async def _sorted(call: Call, gate: Gate, query: Query) -> list[Document]:
    """The matching documents in order; only as many are held as are asked for."""
    assert query.sort is not None
    best: list[tuple[bytes, int, Document]] = []
    size, seen = (query.skip + query.limit if query.limit else None), 0
    async with aclosing(matching_rows(call, gate, query)) as stream:
        async for rows in stream:
            best += [(query.sort(document), seen + i, document) for i, (_, document) in enumerate(rows)]
            seen += len(rows)
            if size is not None:
                best = heapq.nsmallest(size, best)
    return [document for _, _, document in sorted(best)[query.skip :]]


async def ordered_rows(call: Call, gate: Gate, query: Query) -> AsyncGenerator[list[Match]]:
    """`matching_rows` in the query's order, of which SQL misplaces some rows: those are held here, and put in."""
    assert query.fields is not None and query.sort is not None
    sort = query.sort
    size = query.skip + query.limit if query.limit else None
    args = Args(*query.args.values)
    misplaced: set[Any] = set()
    odd: list[tuple[bytes, int, Match]] = []

    def in_order(raw: Sequence[Any]) -> list[Match]:
        nonlocal odd
        rows = found(raw)
        for match in _matching(call, query, [row for row in rows if not row.stored[-1]]):
            misplaced.add(match[0].id)
            odd.append((sort(match[1]), len(misplaced), match))
        if size is not None:
            odd = heapq.nsmallest(size, odd)
        placed = _matching(call, query, [row for row in rows if row.stored[-1] and row.id not in misplaced])
        odd.sort()
        return _merged(placed, odd, sort)

    async with _cursor(call, select_ordered_sql(call, gate, query.condition, query.fields), args) as cursor:
        while len(raw := await _next(call, gate, cursor)) == BATCH:
            if rows := in_order(raw):
                yield rows
    rows = in_order(raw)  # nothing is asked of PostgreSQL behind the last ones
    if rows := rows + [match for _, _, match in odd]:
        yield rows


def _merged(placed: Sequence[Match], odd: list[tuple[bytes, int, Match]], sort: SortKey) -> list[Match]:
    """Rows in order, and of the sorted ``odd`` ones, which are taken out, those that belong between them."""
    rows: list[Match] = []
    taken = 0
    for match in placed:
        if taken < len(odd):
            key = sort(match[1])
            while taken < len(odd) and odd[taken][0] < key:
                rows.append(odd[taken][2])
                taken += 1
        rows.append(match)
    del odd[:taken]
    return rows


def rows_sql(call: Call, gate: Gate, query: Query) -> tuple[str, Args]:
    """The statement for the rows of which the matching ones are picked, and its parameters."""
    args = Args(*query.args.values)
    if query.fields is not None:
        return select_ordered_sql(call, gate, query.condition, query.fields), args
    return select_sql(call, gate, query.condition, tail=_tail(query, args)), args


async def matching_rows(call: Call, gate: Gate, query: Query) -> AsyncGenerator[list[Match]]:
    """The rows that match, with their documents, a batch at a time, through a cursor in a transaction."""
    args = Args(*query.args.values)
    sql = select_sql(call, gate, query.condition, tail=_tail(query, args))
    async with _cursor(call, sql, args) as cursor:
        while len(raw := await _next(call, gate, cursor)) == BATCH:
            if pairs := _matching(call, query, found(raw)):
                yield pairs
    if pairs := _matching(call, query, found(raw)):  # nothing is asked of PostgreSQL behind the last ones
        yield pairs


@asynccontextmanager
async def _cursor(call: Call, sql: str, args: Args) -> AsyncIterator[Any]:
    async with transaction(call):
        try:
            cursor = await call.conn.cursor(sql, *args.values)
        except ERRORS as error:
            raise call.failure(error, writing=False) from None
        yield cursor


@asynccontextmanager
async def transaction(call: Call) -> AsyncIterator[None]:
    """The transaction that the connection is in, or one of its own."""
    conn = call.conn
    if conn.is_in_transaction():
        yield
        return
    own = conn.transaction()
    await own.start()
    try:
        yield
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(_PARTING):
                await own.rollback()
        except (*ERRORS, TimeoutError):  # of a server that does not answer at all, as it may be
            conn.terminate()
        raise
    except BaseException:
        if not conn.is_closed():
            await own.rollback()
        raise
    await own.commit()


async def _next(call: Call, gate: Gate, cursor: Any) -> list[Any]:
    try:
        rows: list[Any] = await cursor.fetch(BATCH)
    except ERRORS as error:
        raise call.failure(error, writing=False) from None
    if rows and not rows[0][0]:
        raise gate.error(call.layout.entity)
    return rows
