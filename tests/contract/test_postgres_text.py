"""``$text`` and text indexes on the documents layout: what is found, how well, through which entries, and refusals."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shadow_adapters.bson.match.text import TextMatch
from shadow_adapters.bson.text import Definition, completed
from shadow_adapters.contract import Fence
from shadow_adapters.failures import NotReadable
from shadow_adapters.postgres.engine import Engine
from tests.contract.postgres_stores import ENTITY, NAMESPACE, Store, new_layout, open_store

ARTICLES = [
    {"_id": 1, "subject": "coffee", "author": "xyz", "views": 50},
    {"_id": 2, "subject": "Coffee Shopping", "author": "efg", "views": 5},
    {"_id": 3, "subject": "Baking a cake", "author": "abc", "views": 90},
    {"_id": 4, "subject": "baking", "author": "xyz", "views": 100},
    {"_id": 5, "subject": "Café Con Leche", "author": "abc", "views": 200},
    {"_id": 6, "subject": "Сырники", "author": "jkl", "views": 80},
    {"_id": 7, "subject": "coffee and cream", "author": "efg", "views": 10},
    {"_id": 8, "subject": "Cafe con Leche", "author": "xyz", "views": 10},
]
"""The collection of the manual's page on ``$text``."""

SCORE = {"$meta": "textScore"}


@pytest.fixture
async def store(postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, "documents") as opened:
        yield opened


@pytest.fixture
async def articles(store: Store) -> Store:
    await store.insert(*ARTICLES)
    assert (await store.run(index(subject="text")))["ok"] == 1.0
    return store


def index(name: str = "t", options: dict[str, Any] | None = None, **key: Any) -> dict[str, Any]:
    return {"createIndexes": ENTITY, "indexes": [{"key": key, "name": name, **(options or {})}]}


def text(search: str, **options: Any) -> dict[str, Any]:
    return {"$text": {"$search": search, **{f"${name}": value for name, value in options.items()}}}


def aggregate(*stages: dict[str, Any]) -> dict[str, Any]:
    return {"aggregate": ENTITY, "pipeline": list(stages), "cursor": {}}


async def ids(store: Store, filter: dict[str, Any]) -> list[Any]:
    return sorted(document["_id"] for document in await store.find(filter))


async def listed(store: Store) -> list[dict[str, Any]]:
    reply = await store.run({"listIndexes": ENTITY})
    found: list[dict[str, Any]] = reply["cursor"]["firstBatch"]
    return found[1:]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (text("coffee"), [1, 2, 7]),
        (text("COFFEES"), [1, 2, 7]),
        (text("bake coffee cake"), [1, 2, 3, 4, 7]),
        (text('"coffee shop"'), [2]),
        (text('"coffee shop" "cream"'), []),
        (text("coffee -shop"), [1, 7]),
        (text('coffee -"and cream"'), [1, 2]),
        (text("coffee - shop"), [1, 2, 7]),
        (text("leche", language="en"), [5, 8]),
        (text("leche", language="none"), []),
        (text("сы́рники CAFÉS"), [5, 6, 8]),
        (text("Coffee", caseSensitive=True), [2]),
        (text("CAFÉ", diacriticSensitive=True), [5]),
        (text("leches -cafés", diacriticSensitive=True), [8]),
        (text("and the"), []),
        (text("-coffee"), []),
        (text(""), []),
        ({**text("coffee"), "views": {"$lt": 20}}, [2, 7]),
        ({"$and": [text("coffee"), {"$or": [{"views": 50}, {"author": "efg"}]}]}, [1, 2, 7]),
        ({**text("coffee"), "$expr": {"$gt": ["$views", 6]}}, [1, 7]),
        ({**text("coffee"), "_id": {"$in": [1, 3]}}, [1]),
        (text(" ".join(f"word{n}" for n in range(150)) + " coffee"), [1, 2, 7]),
    ],
)
async def test_what_a_search_finds(articles: Store, filter: dict[str, Any], expected: list[int]) -> None:
    assert await ids(articles, filter) == expected
    assert (await articles.run({"count": ENTITY, "query": filter}))["n"] == len(expected)


async def test_the_score_in_projection_and_order(articles: Store) -> None:
    found = await articles.find(
        text("bake coffee cake"), projection={"subject": 1, "score": SCORE}, sort={"score": SCORE, "_id": -1}
    )
    assert found == [
        {"_id": 3, "subject": "Baking a cake", "score": 1.5},
        {"_id": 4, "subject": "baking", "score": 1.0},
        {"_id": 1, "subject": "coffee", "score": 1.0},
        {"_id": 7, "subject": "coffee and cream", "score": 0.75},
        {"_id": 2, "subject": "Coffee Shopping", "score": 0.75},
    ]
    first = await articles.find(text("cake baking"), sort={"_id": SCORE}, projection={"s": SCORE}, limit=1)
    assert first == [{**ARTICLES[2], "s": 1.5}]  # alone it leaves the other fields
    without = await articles.find(text("cake"), projection={"subject": 0, "s": SCORE})
    assert without == [{"_id": 3, "author": "abc", "views": 90, "s": 0.75}]


async def test_the_score_in_a_pipeline(articles: Store) -> None:
    begin = {"$match": text("coffee cake")}

    async def run(*stages: dict[str, Any]) -> Any:
        reply = await articles.run(aggregate(begin, *stages))
        return reply["cursor"]["firstBatch"] if reply["ok"] else (reply["code"], reply.get("unsupported"))

    by_score = {"$sort": {"score": SCORE, "_id": 1}}
    assert [each["_id"] for each in await run(by_score)] == [1, 2, 3, 7]
    assert [each["_id"] for each in await run({"$match": {"views": {"$gt": 5}}}, by_score, {"$limit": 2})] == [1, 3]
    assert [each["_id"] for each in await run({"$skip": 0}, {"$limit": 9}, by_score, {"$limit": 1})] == [1]
    better = await run({"$project": {"score": SCORE, "views": 1}}, {"$match": {"score": {"$gt": 0.9}}})
    assert better == [{"_id": 1, "score": 1.0, "views": 50}]
    added = await run({"$addFields": {"twice": {"$multiply": [2, SCORE]}}}, {"$match": {"_id": 3}})
    assert added == [{**ARTICLES[2], "twice": 1.5}]
    grouped = {"$group": {"_id": SCORE, "n": {"$sum": 1}, "best": {"$max": SCORE}}}
    assert await run(grouped, {"$sort": {"_id": 1}}) == [
        {"_id": 0.75, "n": 3, "best": 0.75},
        {"_id": 1.0, "n": 1, "best": 1.0},
    ]
    assert await run({"$count": "n"}) == [{"n": 4}]
    projected = await run({"$project": {"views": 1}}, {"$match": {"_id": {"$ne": 2}}}, {"$sort": {"any": SCORE}})
    assert projected[0] == {"_id": 1, "views": 50} and len(projected) == 3
    top = {"$group": {"_id": None, "x": {"$top": {"sortBy": {"s": SCORE}, "output": "$_id"}}}}
    assert await run(top) == (40218, "sort $meta")
    behind = (40218, "$meta textScore behind a stage")
    assert await run({"$project": {"views": 1}}, by_score) == behind
    assert await run({"$unwind": "$views"}, {"$set": {"s": SCORE}}) == behind
    assert await run({"$facet": {"a": [{"$set": {"s": SCORE}}]}}) == behind
    assert await run(grouped, {"$set": {"s": SCORE}}) == (40218, None)
    assert await run({"$match": text("x")}) == (17313, None)
    assert await run({"$facet": {"a": [{"$match": text("x")}]}}) == (17313, None)
    nested = {"$lookup": {"from": ENTITY, "pipeline": [{"$match": text("x")}], "as": "x"}}
    assert await run(nested) == (17313, "$text in $lookup")


async def test_how_terms_weigh(store: Store) -> None:
    await store.run(index(options={"weights": {"title": 10, "body.text": 3}}, title="text", **{"body.text": "text"}))
    await store.insert(
        {"_id": 1, "title": "Red", "body": {"text": "a red, red red fox"}},
        {"_id": 2, "title": ["blue red", "green"], "body": [{"text": "red"}, {"other": "red"}, {"text": 5}]},
        {"_id": 3, "title": {"x": "red"}, "body": "red"},
    )
    found = await store.find(text("red"), projection={"_id": 1, "s": SCORE})
    words = 3 * (1 + 0.5 + 0.25) * (0.5 * 3 / 4 + 0.5)  # "a" says nothing, and four words are left
    assert {each["_id"]: each["s"] for each in found} == {
        1: 10 * 1.1 + words,  # a term that is all of its text weighs a tenth more
        2: 10 * 0.75 + 3 * 1.1,
    }


async def test_the_languages_of_documents(store: Store) -> None:
    options = {"default_language": "none", "language_override": "idioma"}
    await store.run(index(options=options, **{"$**": "text"}))
    await store.insert(
        {"_id": 1, "a": "running the dogs"},
        {"_id": 2, "a": "running the dogs", "idioma": "en"},
        {"_id": 3, "a": "running the dogs", "b": {"idioma": "english", "c": "running the dogs"}},
    )
    assert await ids(store, text("dogs")) == [1, 3]
    assert await ids(store, text("the")) == [1, 3]
    assert await ids(store, text("dogs", language="english")) == [2, 3]
    assert await ids(store, text("english")) == []  # under a wildcard the language is no text
    for wrong, code, unsupported in ((5, 17261, None), ("klingon", 17262, None), ("fr", 17262, "text language french")):
        for reply in (
            await store.insert({"_id": 4, "a": "x", "idioma": wrong}),
            await store.run({"update": ENTITY, "updates": [{"q": {"_id": 1}, "u": {"$set": {"idioma": wrong}}}]}),
        ):
            error = reply["writeErrors"][0]
            assert (error["code"], error.get("unsupported")) == (code, unsupported)
    assert (await store.run({"find": ENTITY, "filter": text("x", language="klingon")}))["code"] == 2


async def test_writes_move_the_entries(articles: Store) -> None:
    def change(filter: dict[str, Any], update: Any, **options: Any) -> dict[str, Any]:
        return {"update": ENTITY, "updates": [{"q": filter, "u": update, **options}]}

    assert (await articles.run(change({"_id": 3}, {"$set": {"subject": "tea"}})))["nModified"] == 1
    assert await ids(articles, text("cake")) == []
    assert await ids(articles, text("tea")) == [3]
    assert (await articles.run(change(text("coffee"), {"$set": {"hot": True}}, multi=True)))["nModified"] == 3
    assert await ids(articles, {"hot": True}) == [1, 2, 7]
    assert (await articles.run({"delete": ENTITY, "deletes": [{"q": text("coffee -cream"), "limit": 0}]}))["n"] == 2
    assert await ids(articles, text("coffee")) == [7]
    modify = {"findAndModify": ENTITY, "query": text("leche"), "sort": {"s": SCORE, "_id": -1}, "remove": True}
    assert (await articles.run(modify))["value"]["_id"] == 8
    upsert = change({**text("nobody"), "_id": 20}, {"$set": {"subject": "nobody here"}}, upsert=True)
    assert [each["_id"] for each in (await articles.run(upsert))["upserted"]] == [20]
    assert await ids(articles, text("nobody")) == [20]


async def test_an_array_is_found_by_its_element(articles: Store) -> None:
    await articles.insert({"_id": 9, "subject": "tea", "a": [1, 2, 3]})
    q = {**text("tea"), "a": 2}
    await articles.run({"update": ENTITY, "updates": [{"q": q, "u": {"$set": {"a.$": 5}}}]})
    assert await articles.find({**text("tea"), "a": 5}, projection={"a.$": 1}) == [{"_id": 9, "a": [5]}]


async def test_the_longest_words_are_found(articles: Store) -> None:
    long = "x" * 5000
    key = "k" * 3000
    await articles.insert({"_id": key, "subject": f"{long}a {long}b"}, {"_id": 10, "subject": f"{long}c"})
    assert await ids(articles, text(f"{long}a")) == [key]
    assert await ids(articles, text(f"{long}c")) == [10]
    assert await ids(articles, text(f"{long}d")) == []


async def test_a_text_index_as_it_is_listed_and_dropped(store: Store) -> None:
    weights = {"b": 5}
    made = index("a_text_b_text", {"weights": weights, "default_language": "en"}, z=1, a="text", b="text", y=-1)
    assert (await store.run(made))["numIndexesAfter"] == 2
    assert await listed(store) == [
        {
            "v": 2,
            "key": {"z": 1, "_fts": "text", "_ftsx": 1, "y": -1},
            "name": "a_text_b_text",
            "weights": {"a": 1, "b": 5},
            "default_language": "en",
            "language_override": "language",
            "textIndexVersion": 3,
        }
    ]
    again = {"createIndexes": ENTITY, "indexes": await listed(store)}  # as another store lists it
    assert (await store.run(made))["numIndexesAfter"] == (await store.run(again))["numIndexesAfter"] == 2
    assert (await store.run(index("u", c="text")))["code"] == 67
    await store.run({"dropIndexes": ENTITY, "index": "a_text_b_text"})
    assert await listed(store) == []
    reply = await store.run({"find": ENTITY, "filter": text("x")})
    assert (reply["code"], reply["errmsg"]) == (27, "text index required for $text query")


@pytest.mark.parametrize(
    ("command", "code", "unsupported"),
    [
        (index("u", author="text"), 85, None),
        (index("u", subject="text"), 85, None),
        (index("t", {"weights": {"subject": 2}}, subject="text"), 85, None),
        (index("t", author=1), 86, None),
        (index("u", a="text", b=1, c="text"), 67, None),
        (index("u", {"weights": {"a": 0}}, a="text"), 67, None),
        (index("u", {"weights": {"a": 100_000}}, a="text"), 67, None),
        (index("u", {"weights": {"a": "1"}}, a="text"), 67, None),
        (index("u", {"weights": {"a..b": 1}}, a="text"), 67, None),
        (index("u", {"weights": 5}, a="text"), 67, None),
        (index("u", {"language_override": "a.b"}, a="text"), 67, None),
        (index("u", {"default_language": "klingon"}, a="text"), 67, None),
        (index("u", {"default_language": 5}, a="text"), 67, None),
        (index("u", {"textIndexVersion": 4}, a="text"), 67, None),
        (index("u", {"textIndexVersion": 2}, a="text"), 67, "textIndexVersion 2"),
        (index("u", {"default_language": "tr"}, a="text"), 67, "text language turkish"),
        (index("u", {"unique": True}, a="text"), 67, "text unique"),
        (index("u", {"partialFilterExpression": {"a": 1}}, a="text"), 67, "text partialFilterExpression"),
        (index("u", {"expireAfterSeconds": 5}, a="text"), 67, None),
        (index("u", a="text", b="2dsphere"), 67, "index 2dsphere"),
        (index("u", a="text", _fts=1), 67, None),
        (index("u", {"weights": {"a": 1}}, a=1), 40415, "weights"),
    ],
)
async def test_indexes_that_are_refused(
    articles: Store, command: dict[str, Any], code: int, unsupported: str | None
) -> None:
    reply = await articles.run(command)
    assert (reply["ok"], reply.get("code"), reply.get("unsupported")) == (0.0, code, unsupported)
    assert [each["name"] for each in await listed(articles)] == ["t"]


@pytest.mark.parametrize(
    ("filter", "code", "unsupported"),
    [
        ({"$text": 5}, 2, None),
        ({"$text": {}}, 4, None),
        ({"$text": {"$search": 5}}, 14, None),
        ({"$text": {"$search": "x", "$caseSensitive": 1}}, 14, None),
        ({"$text": {"$search": "x", "$more": 1}}, 2, None),
        (text("x", language="fr"), 2, "text language french"),
        ({"$and": [text("x"), text("y")]}, 2, None),
        ({"$nor": [text("x")]}, 2, None),
        ({"$or": [text("x"), {"a": 1}]}, 2, "$text under $or"),
        ({"a": {"$elemMatch": text("x")}}, 27, "$text"),
        ({"$and": [text("x"), 5]}, 2, None),
    ],
)
async def test_searches_that_are_refused(
    articles: Store, filter: dict[str, Any], code: int, unsupported: str | None
) -> None:
    reply = await articles.run({"find": ENTITY, "filter": filter})
    assert (reply["ok"], reply.get("code"), reply.get("unsupported")) == (0.0, code, unsupported)


async def test_a_search_under_a_collation_is_refused(articles: Store) -> None:
    command = {"find": ENTITY, "filter": text("x"), "collation": {"locale": "en", "strength": 1}}
    assert (await articles.run(command))["unsupported"] == "collation with $text"


async def test_a_search_with_a_hint_is_refused(articles: Store) -> None:
    statement = {"q": text("coffee"), "u": {"$set": {"a": 1}}, "hint": "t"}
    for command in (
        {"find": ENTITY, "filter": text("coffee"), "hint": "t"},
        {"count": ENTITY, "query": text("coffee"), "hint": "_id_"},
        {**aggregate({"$match": text("coffee")}), "hint": {"_id": 1}},
        {"update": ENTITY, "updates": [statement]},
    ):
        reply = await articles.run(command)
        error = reply if not reply["ok"] else reply["writeErrors"][0]
        assert (error["code"], error["errmsg"]) == (2, "text and hint not allowed in same query"), command


async def test_a_score_without_a_search_is_refused(articles: Store) -> None:
    for options in ({"sort": {"s": SCORE}}, {"projection": {"s": SCORE}}):
        reply = await articles.run({"find": ENTITY, "filter": {}, **options})
        assert (reply["code"], reply.get("unsupported")) == (40218, None)


async def test_fields_before_the_texts(store: Store) -> None:
    await store.run(index(shop=1, label="text"))
    await store.insert({"_id": 1, "shop": "a", "label": "red"}, {"_id": 2, "shop": "b", "label": "red"})
    assert await ids(store, {**text("red"), "shop": "b"}) == [2]
    for filter in (text("red"), {**text("red"), "shop": {"$in": ["a", "b"]}}):
        assert (await store.run({"find": ENTITY, "filter": filter}))["code"] == 291
    assert (await store.insert({"_id": 3, "shop": ["a"], "label": "red"}))["writeErrors"][0]["code"] == 16675
    assert (await store.insert({"_id": 4, "label": "red"}))["n"] == 1
    assert await ids(store, {**text("red"), "shop": None}) == [4]


async def test_a_process_that_did_not_know_the_index_searches(articles: Store) -> None:
    late = Engine(ENTITY, NAMESPACE, new_layout("documents"))
    await late.layout.prepare(articles.conn)
    await articles.run({"dropIndexes": ENTITY, "index": "t"})
    find = {"find": ENTITY, "filter": text("coffee")}
    assert (await late.execute(articles.conn, find))["code"] == 27
    await articles.run(index(subject="text"))
    assert len((await late.execute(articles.conn, find))["cursor"]["firstBatch"]) == 3
    await articles.run({"dropIndexes": ENTITY, "index": "t"}, index(author="text"))
    assert (await late.execute(articles.conn, find))["cursor"]["firstBatch"] == []


async def test_while_legacy_leads_it_is_asked_where_the_index_is_not_yet_here(store: Store) -> None:
    fence = Fence(ENTITY, 1, 5.0)
    for command in ({"find": ENTITY, "filter": text("x")}, aggregate({"$match": text("x")})):
        with pytest.raises(NotReadable):
            await store.run(command, fence=fence)
    assert (await store.run({"find": ENTITY, "filter": text("x")}))["unsupported"] == "$text"


async def test_on_a_real_table_a_search_is_refused(postgres_dsn: str) -> None:
    async with open_store(postgres_dsn, "table") as table:
        for fence in (None, Fence(ENTITY, 1, 5.0)):
            reply = await table.run({"find": ENTITY, "filter": text("x")}, fence=fence)
            assert (reply["code"], reply["unsupported"]) == (27, "$text")
        assert (await table.run(index(level="text")))["unsupported"] == "index text"


async def test_a_search_reads_what_the_entries_name(store: Store) -> None:
    words = [f"w{number}" for number in range(60)]
    dice = random.Random(5)
    documents = [{"_id": n, "a": " ".join(dice.choices(words, k=4))} for n in range(3000)]
    for at in range(0, 3000, 500):
        await store.insert(*documents[at : at + 500])
    await store.run(index(a="text"))
    await store.conn.execute("ANALYZE")
    definition = Definition.of(completed({"key": {"a": "text"}, "name": "t"}))
    for _ in range(20):
        argument = {"$search": " ".join(dice.choices(["", "-"])[0] + dice.choice(words) for _ in range(3))}
        match = TextMatch(argument, definition)
        expected = [each["_id"] for each in documents if match.matches(each)]
        assert await ids(store, {"$text": argument}) == expected
    plan = (await store.run({"explain": {"find": ENTITY, "filter": text("w7")}}))["queryPlanner"]
    assert plan["indexName"] == "t"
    assert "Seq Scan" not in str(plan["winningPlan"])
