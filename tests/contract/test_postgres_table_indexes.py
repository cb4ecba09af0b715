"""Indexes of a real table: listed as MongoDB would, made in SQL only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.postgres_stores import ENTITY, Store, open_store


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "table") as opened:
        await opened.conn.execute(
            "CREATE INDEX by_level ON app.things (level DESC, created_at);"
            "CREATE INDEX high ON app.things (level) WHERE level > 5;"
            "CREATE INDEX lower_name ON app.things (lower(name));"
            "CREATE UNIQUE INDEX pairs ON app.things (big, name) INCLUDE (ratio);"
        )
        yield opened


def created(*paths: str, **options: Any) -> dict[str, Any]:
    key = dict.fromkeys(paths, 1)
    return {"createIndexes": ENTITY, "indexes": [{"key": key, "name": "i", **options}]}


async def test_the_tables_indexes_are_listed_by_their_fields(store: Store) -> None:
    reply = await store.run({"listIndexes": ENTITY, "cursor": {}})
    assert [list(index.items()) for index in reply["cursor"]["firstBatch"]] == [
        [("v", 2), ("key", {"_id": 1}), ("name", "_id_")],
        [("v", 2), ("key", {"level": -1, "meta.created": 1}), ("name", "by_level")],
        [("v", 2), ("key", {"big": 1, "name": 1}), ("name", "pairs"), ("unique", True)],
        [("v", 2), ("key", {"email": 1}), ("name", "things_email_key"), ("unique", True)],
    ]


@pytest.mark.parametrize(
    "command",
    [
        created("email", unique=True),
        created("name", "big", unique=True),
        created("_id", unique=True),
        created("level"),
        created("extra.inner"),
    ],
)
async def test_what_changes_no_answer_or_is_there_is_no_mistake(store: Store, command: dict[str, Any]) -> None:
    reply = await store.run(command)
    assert reply["ok"] == 1.0 and reply["numIndexesAfter"] == 4


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (created("name", unique=True), "createIndexes unique"),
        (created("level", unique=True), "createIndexes unique"),
        (created("extra", unique=True), "createIndexes unique"),
        (created("meta.created", expireAfterSeconds=60), "createIndexes.indexes expireAfterSeconds"),
        (created("level", partialFilterExpression={"level": 5}), "createIndexes.indexes partialFilterExpression"),
        ({"createIndexes": ENTITY, "indexes": [{"key": {"name": "text"}, "name": "t"}]}, "index text"),
        ({"dropIndexes": ENTITY, "index": "by_level"}, "dropIndexes"),
    ],
)
async def test_what_must_be_made_in_sql_is_refused_by_name(store: Store, command: dict[str, Any], named: str) -> None:
    reply = await store.run(command)
    assert not reply["ok"] and reply["unsupported"] == named
