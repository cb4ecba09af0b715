"""``explain`` says what SQL does and what is done here, and it is so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shadow_adapters.contract import Fence
from tests.contract.postgres_stores import ENTITY, FENCE, KINDS, Store, open_store
from tests.contract.test_postgres_commands import DOCUMENTS

Document = dict[str, Any]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        await opened.insert(*DOCUMENTS)
        yield opened


async def parts(store: Store, command: Document) -> list[tuple[str, str]]:
    reply = await store.run({"explain": command, "verbosity": "queryPlanner"}, fence=FENCE)
    assert reply["ok"] == 1.0, reply
    assert reply["queryPlanner"]["winningPlan"]["Node Type"]
    assert all(part.get("why") or "memory" not in part["by"] or part["part"] == "count" for part in reply["parts"])
    return [(part["part"], part["by"]) for part in reply["parts"]]


def aggregation(*stages: Document, **options: Any) -> Document:
    return {"aggregate": ENTITY, "pipeline": list(stages), "cursor": {}, **options}


async def test_what_sql_does(store: Store) -> None:
    by_id = {"find": ENTITY, "filter": {"_id": {"$in": ["a", "b"]}}, "limit": 2}
    assert await parts(store, by_id) == [("filter", "sql"), ("skip and limit", "sql")]
    assert await parts(store, aggregation({"$count": "n"})) == [("filter", "sql"), ("$count", "sql")]
    assert await parts(store, {"count": ENTITY, "query": {}}) == [("filter", "sql"), ("count", "sql")]


async def test_what_is_done_here(store: Store) -> None:
    regex = {"name": {"$regex": "^x"}}
    assert await parts(store, {"find": ENTITY, "filter": regex, "limit": 1, "projection": {"name": 1}}) == [
        ("filter", "sql, memory"),
        ("skip and limit", "memory"),
        ("projection", "memory"),
    ]
    stages: list[Document] = [{"$match": regex}, {"$group": {"_id": "$level"}}, {"$sort": {"_id": 1}}]
    assert await parts(store, aggregation(*stages)) == [
        ("filter", "sql, memory"),
        ("$group", "memory"),
        ("$sort", "memory"),
    ]
    assert await parts(store, aggregation({"$match": regex}, {"$count": "n"})) == [
        ("filter", "sql, memory"),
        ("$count", "memory"),
    ]


async def test_it_names_the_clauses_that_are_checked_again(store: Store) -> None:
    filter = {"_id": {"$in": ["a"]}, "name": {"$regex": "^x"}, "$expr": {"$eq": ["$level", 5]}}
    reply = await store.run({"explain": {"find": ENTITY, "filter": filter}})
    assert reply["parts"][0]["why"].endswith("checked again for name, $expr")
    assert reply["queryPlanner"]["parsedQuery"] == filter


async def test_nothing_is_read(store: Store) -> None:
    reply = await store.run({"explain": {"find": ENTITY, "filter": {}}}, fence=Fence(ENTITY, 9))
    assert reply["ok"] == 1.0


@pytest.mark.parametrize(
    ("command", "code", "unsupported"),
    [
        ({"explain": {"update": ENTITY, "updates": []}}, 59, "explain update"),
        ({"explain": 5}, 59, "explain "),
        ({"explain": {"find": ENTITY}, "verbosity": "odd"}, 2, None),
        ({"explain": aggregation({"$foo": 1})}, 40324, None),
        ({"explain": {"find": ENTITY}, "odd": 1}, 40415, "odd"),
    ],
    ids=str,
)
async def test_refused(command: Document, code: int, unsupported: str | None, store: Store) -> None:
    reply = await store.run(command)
    assert (reply["ok"], reply["code"], reply.get("unsupported")) == (0.0, code, unsupported)
