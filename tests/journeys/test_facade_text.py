"""Text indexes and ``$text`` through the façades, where PostgreSQL answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.facade_support import outcome
from tests.journeys.facade_worlds import CLIENTS, Pair, pair_on_new

SCORE = {"$meta": "textScore"}


@pytest.fixture(params=list(CLIENTS))
async def pair(request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str) -> AsyncIterator[Pair]:
    async with pair_on_new(request.param, mongo_uri, postgres_dsn) as made:
        yield made


async def test_a_text_index_from_its_making_to_its_end(pair: Pair) -> None:
    shop: Any = pair.facade
    await shop.insert_many(
        [
            {"_id": 1, "name": "Java Hut", "about": "Coffee and cakes"},
            {"_id": 2, "name": "Burger Buns", "about": "Gourmet hamburgers"},
            {"_id": 3, "name": "Coffee Shop", "about": "Just coffee"},
        ]
    )
    search = {"$text": {"$search": "coffee -cakes"}}
    assert (await outcome(lambda: shop.count_documents(search)))[:2] == ("OperationFailure", 27)
    assert await shop.create_index([("name", "text"), ("about", "text")], weights={"name": 4}) == "name_text_about_text"
    assert (await shop.index_information())["name_text_about_text"] == {
        "v": 2,
        "key": [("_fts", "text"), ("_ftsx", 1)],
        "weights": {"about": 1, "name": 4},
        "default_language": "english",
        "language_override": "language",
        "textIndexVersion": 3,
    }
    assert await shop.count_documents(search) == 1
    found = await shop.find({"$text": {"$search": "coffee"}}, {"s": SCORE}).sort([("s", SCORE)]).to_list(None)
    assert [(each["_id"], each["s"]) for each in found] == [(3, 4 * 0.75 + 0.75), (1, 0.75)]
    best = await shop.find_one({"$text": {"$search": "burgers hamburger"}}, sort=[("s", SCORE)])
    assert best["_id"] == 2
    changed = await shop.find_one_and_update(search, {"$set": {"about": "Closed"}}, sort=[("s", SCORE)])
    assert changed["_id"] == 3
    stages = [{"$match": {"$text": {"$search": "closed"}}}, {"$project": {"s": SCORE}}]
    assert [each["s"] async for each in await _opened(shop.aggregate(stages))] == [1.0]
    assert (await shop.delete_many({"$text": {"$search": "closed"}})).deleted_count == 1
    await shop.drop_index([("name", "text"), ("about", "text")])
    assert list(await shop.index_information()) == ["_id_"]


async def _opened(cursor: Any) -> Any:
    return await cursor if hasattr(cursor, "__await__") else cursor
