"""``replaceAll`` on both layouts: all at once or not at all, and marked by the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shadow_adapters.contract import Fence
from shadow_adapters.failures import EpochMoved
from shadow_adapters.postgres.control.queries import outbox_statements
from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store

Document = dict[str, Any]

OLD: list[Document] = [{"_id": "a", "name": "x", "email": "e"}, {"_id": "b", "name": "y"}]
NEW: list[Document] = [{"_id": "b", "name": "z", "more": 1}, {"_id": "c", "email": "e"}]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        await opened.insert(*OLD)
        yield opened


async def replaced(store: Store, documents: list[Document], **options: Any) -> Document:
    return await store.run({"replaceAll": ENTITY, "documents": documents}, **options)


async def content(store: Store) -> list[Document]:
    return await store.find({}, sort={"_id": 1})


@pytest.mark.parametrize("documents", [NEW, [], [{"_id": f"{n:05}", "level": n % 1000} for n in range(2500)]], ids=len)
async def test_the_new_documents_are_all_that_is_there(store: Store, documents: list[Document]) -> None:
    assert await replaced(store, documents) == {"n": len(documents), "ok": 1.0}
    assert await content(store) == documents


async def test_what_one_document_is_refused_for_changes_nothing(store: Store) -> None:
    reply = await replaced(store, [*NEW, {"_id": "b"}])
    assert (reply["ok"], reply["code"], reply["keyValue"]) == (0.0, 11000, {"_id": "b"})
    assert await content(store) == OLD


async def test_the_indexes_stay_and_are_held_to(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "documents") as store:
        await store.insert(*OLD)
        made = {"key": {"name": 1}, "name": "n", "unique": True}
        await store.run({"createIndexes": ENTITY, "indexes": [made]})
        same = [{"_id": 1, "name": "x"}, {"_id": 2, "name": "x"}]
        assert (await replaced(store, same))["keyValue"] == {"name": "x"}
        assert await content(store) == OLD
        assert (await replaced(store, same[:1]))["ok"] == 1.0
        assert (await store.insert(same[1]))["writeErrors"][0]["code"] == 11000
        listed = await store.run({"listIndexes": ENTITY})
        assert [index["name"] for index in listed["cursor"]["firstBatch"]] == ["_id_", "n"]


async def test_a_table_refuses_what_it_cannot_hold(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as store:
        await store.insert(*OLD)
        assert (await replaced(store, [{"_id": "d", "name": "n" * 30}]))["code"] == 121
        await store.conn.execute("CREATE TABLE app.others (thing text REFERENCES app.things (id))")
        await store.conn.execute("INSERT INTO app.others VALUES ('a')")
        assert (await replaced(store, NEW))["code"] == 121
        assert await content(store) == OLD


async def test_nothing_is_done_under_an_epoch_that_is_over(store: Store) -> None:
    for documents in (NEW, []):
        with pytest.raises(EpochMoved):
            await replaced(store, documents, fence=Fence(ENTITY, 7))
    assert await content(store) == OLD


async def test_nobody_sees_a_part_of_it(store: Store) -> None:
    contents = [[{"_id": f"{n:05}", "level": side} for n in range(1500)] for side in (1, 2)]
    await replaced(store, contents[0])
    seen: set[tuple[int, ...]] = set()
    done = asyncio.Event()

    async def look() -> None:
        async with store.pool.connection() as conn:
            group = [{"$group": {"_id": "$level", "n": {"$sum": 1}}}]
            while not done.is_set():
                command = {"aggregate": ENTITY, "pipeline": group, "cursor": {}}
                found = (await store.engine.execute(conn, command))["cursor"]["firstBatch"]
                seen.add(tuple(number for each in found for number in (each["_id"], each["n"])))

    looking = asyncio.create_task(look())
    try:
        for documents in (contents * 3)[1:]:
            await replaced(store, documents)
    finally:
        done.set()
        await looking
    assert seen <= {(1, 1500), (2, 1500)}


async def test_the_outbox_marks_what_goes_and_what_comes(store: Store) -> None:
    await store.conn.execute("UPDATE shadow.entity SET phase = 'write_new' WHERE entity = $1", ENTITY)
    for statement in outbox_statements(ENTITY, store.layout):
        await store.conn.execute(statement)
    await replaced(store, NEW)
    marked = await store.conn.fetchval(
        "SELECT count(DISTINCT key) FROM shadow.mark WHERE entity = $1 AND closed_at IS NULL", ENTITY
    )
    assert marked == 3
