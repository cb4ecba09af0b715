"""Updates, findAndModify and projections on both layouts give MongoDB's replies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.postgres_stores import ENTITY, KINDS, Store, open_store
from tests.contract.test_postgres_commands import (
    BY_ID,
    Command,
    delete,
    essence,
    find,
    insert,
    modify,
    on_mongo,
    update,
)

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "a", "level": 5, "tags": ["p", "q", "p"], "data": [{"k": 1, "n": [1, 2]}, {"k": 2, "n": [2, 3]}]},
    {"_id": "b", "level": 7, "tags": ["q"], "data": [{"k": 2, "n": []}], "extra": [5, 15, 25]},
    {"_id": "c", "level": 9, "data": {"k": 3}, "extra": 4},
]

CASES: dict[str, list[Command]] = {
    "the element found": [update({"tags": "q", "_id": "a"}, {"$set": {"tags.$": "z"}}), find({}, **BY_ID)],
    "the elements found": [update({"tags": "q"}, {"$set": {"tags.$": "z"}}, multi=True), find({}, **BY_ID)],
    "the element's field": [update({"data.k": 2}, {"$inc": {"data.$.k": 10}}, multi=True), find({}, **BY_ID)],
    "elemMatch": [
        update({"extra": {"$elemMatch": {"$gt": 5, "$lt": 20}}}, {"$mul": {"extra.$": 2}}),
        find({"_id": "b"}),
    ],
    "no element found": [update({"_id": "a"}, {"$set": {"tags.$": "z"}}), find({"_id": "a"})],
    "all elements": [update({"_id": "a"}, {"$set": {"tags.$[]": "z"}}), find({"_id": "a"})],
    "some elements": [
        update({"_id": "b"}, {"$set": {"extra.$[e]": 0}}, arrayFilters=[{"e": {"$gt": 10}}]),
        find({"_id": "b"}),
    ],
    "some elements of some": [
        update({"_id": "a"}, {"$inc": {"data.$[d].n.$[n]": 7}}, arrayFilters=[{"d.k": 2}, {"n": 2}]),
        find({"_id": "a"}),
    ],
    "some elements of many": [
        update({"data.k": 2}, {"$unset": {"data.$[d].n": 1}}, arrayFilters=[{"d.k": 2}], multi=True),
        find({}, **BY_ID),
    ],
    "a filter that is not used": [
        update({"_id": "a"}, {"$set": {"level": 1}}, arrayFilters=[{"e": 1}]),
        find({"_id": "a"}),
    ],
    "no filter": [update({"_id": "a"}, {"$set": {"tags.$[e]": 1}}), find({"_id": "a"})],
    "a filter that is none": [update({"_id": "a"}, {"$set": {"tags.$[e]": 1}}, arrayFilters=[{}])],
    "two filters of a name": [update({"_id": "a"}, {"$set": {"tags.$[e]": 1}}, arrayFilters=[{"e": 1}, {"e": 2}])],
    "upsert with elements": [
        update({"_id": "n", "tags": ["x", "y"]}, {"$set": {"tags.$[e]": 1}}, arrayFilters=[{"e": "y"}], upsert=True),
        find({"_id": "n"}),
    ],
    "modify some elements": [
        modify({"_id": "a"}, update={"$set": {"tags.$[e]": 1}}, arrayFilters=[{"e": "p"}]),
        find({"_id": "a"}),
    ],
    "modify by an expression": [
        modify({"$expr": {"$gt": ["$level", "$$least"]}}, let={"least": 8}, update={"$set": {"x": 1}}),
        find({}, **BY_ID),
    ],
    "update by an expression": [
        {
            "update": ENTITY,
            "let": {"v": 7},
            "updates": [{"q": {"$expr": {"$eq": ["$level", "$$v"]}}, "u": {"$set": {"x": 1}}}],
        },
        find({}, **BY_ID),
    ],
    "delete by an expression": [
        {"delete": ENTITY, "let": {"v": 7}, "deletes": [{"q": {"$expr": {"$gte": ["$level", "$$v"]}}, "limit": 0}]},
        find({}, **BY_ID),
    ],
    "find by an expression": [find({"$expr": {"$gte": ["$level", "$$v"]}}, let={"v": 7}, **BY_ID)],
    "constants beside operators": [update({"_id": "a"}, {"$set": {"x": 1}}, c={"v": 1})],
    "pipeline": [update({"_id": "a"}, [{"$set": {"sum": {"$add": ["$level", 1]}}}]), find({"_id": "a"})],
    "pipeline of many": [
        update({"level": {"$gt": 5}}, [{"$set": {"v": {"$max": "$extra"}}}, {"$unset": ["extra"]}], multi=True),
        find({}, **BY_ID),
    ],
    "pipeline that changes nothing": [update({"_id": "a"}, [{"$set": {"level": "$level"}}])],
    "pipeline that replaces": [update({"_id": "c"}, [{"$replaceWith": "$data"}]), find({"_id": "c"})],
    "pipeline with constants": [update({"_id": "c"}, [{"$set": {"v": "$$c"}}], c={"c": 5}), find({"_id": "c"})],
    "pipeline with variables": [
        {"update": ENTITY, "let": {"v": 7}, "updates": [{"q": {"_id": "a"}, "u": [{"$set": {"x": "$$v"}}]}]},
        find({"_id": "a"}),
    ],
    "pipeline that changes the id": [update({"_id": "a"}, [{"$set": {"_id": "z"}}]), find({}, **BY_ID)],
    "upsert with a pipeline": [
        update({"_id": "n", "level": 4}, [{"$set": {"x": {"$multiply": ["$level", 2]}}}], upsert=True),
        find({"_id": "n"}),
    ],
    "modify with a pipeline": [modify({"_id": "a"}, update=[{"$set": {"x": "$level"}}, {"$unset": "data"}], new=True)],
    "modify with a pipeline and variables": [
        modify({"_id": "a"}, update=[{"$set": {"x": "$$v"}}], let={"v": {"$add": [1, 2]}}, new=True)
    ],
    "several, with filters": [
        {
            "update": ENTITY,
            "updates": [
                {"q": {"_id": "a"}, "u": {"$set": {"tags.$[e]": 1}}, "arrayFilters": [{"e": "q"}]},
                {"q": {"_id": "b"}, "u": {"$set": {"tags.$": 1}}},
                {"q": {"_id": "b", "tags": "q"}, "u": {"$set": {"tags.$": 1}}},
            ],
            "ordered": False,
        },
        find({}, **BY_ID),
    ],
}

STATED: dict[str, tuple[Command, int | dict[str, Any]]] = {
    "all elements of nothing": (update({"_id": "c"}, {"$set": {"tags.$[]": "z"}}), 2),
    "upsert of the element found": (update({"_id": "n", "tags": "x"}, {"$set": {"tags.$": 1}}, upsert=True), 2),
    "upsert by an expression": (update({"$expr": {"$eq": ["$level", 1]}}, {"$set": {"x": 1}}, upsert=True), 224),
    "sort of many": (update({}, {"$set": {"x": 1}}, sort={"level": -1}, multi=True), 9),
    "sort": (update({}, {"$set": {"x": 1}}, sort={"level": -1}), {**DOCUMENTS[2], "x": 1}),
    "modify the element found": (
        modify({"tags": "q", "level": 7}, update={"$set": {"tags.$": "z"}}, new=True),
        {**DOCUMENTS[1], "tags": ["z"]},
    ),
    "pipeline that projects": (
        update({"_id": "a"}, [{"$project": {"level": 1, "n": "$data.n"}}]),
        {"_id": "a", "level": 5, "n": [[1, 2], [2, 3]]},
    ),
    "pipeline with array filters": (update({"_id": "a"}, [{"$set": {"x": 1}}], arrayFilters=[{"e": 1}]), 9),
    "pipeline with a stage that is not for updates": (update({"_id": "a"}, [{"$match": {"level": 5}}]), 72),
    "pipeline that fails": (update({"_id": "a"}, [{"$set": {"x": {"$add": ["$tags", 1]}}}]), 14),
    "remove with filters": (modify({"_id": "a"}, remove=True, arrayFilters=[{"e": 1}]), 9),
}
"""What SecantusDB does otherwise: a command, and the error or the one record that is changed."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


async def test_replies_are_mongodbs(store: Store, mongo_uri: str) -> None:
    differing = {}
    for case, commands in CASES.items():
        await store.run(delete({}, 0))
        prepared = [insert(*DOCUMENTS), *commands]
        replies = [essence(await store.run(command)) for command in prepared]
        expected = [essence(reply) for reply in on_mongo(mongo_uri, commands, DOCUMENTS)]
        if replies != expected:
            differing[case] = f"{replies[1:]}\nand not\n{expected[1:]}"
    assert not differing, "\n".join(f"{case}:\n{told}" for case, told in differing.items())


@pytest.mark.parametrize(("command", "outcome"), STATED.values(), ids=STATED)
async def test_what_mongodb_does(store: Store, command: Command, outcome: int | dict[str, Any]) -> None:
    await store.run(insert(*DOCUMENTS))
    reply = await store.run(command)
    after = [document for document in await store.find({}, **BY_ID) if document not in DOCUMENTS]
    if isinstance(outcome, int):
        assert (reply.get("writeErrors") or [reply])[0]["code"] == outcome
        assert after == []
    else:
        assert reply["ok"] == 1.0
        assert after == [outcome]
