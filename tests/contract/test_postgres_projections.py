"""Projections of find and findAndModify on both layouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shadow_adapters.bson.codec import encode
from tests.contract.postgres_stores import KINDS, Store, open_store
from tests.contract.test_postgres_commands import Command, find, insert, modify

DOCUMENT: dict[str, Any] = {
    "_id": "a",
    "name": "x",
    "level": 5,
    "tags": ["p", "q", "r"],
    "data": [{"k": 1, "v": [1, 2]}, {"k": 2, "v": [3]}],
    "meta": {"other": 1},
    "extra": None,
}
ID = {"_id": "a"}

CASES: dict[str, tuple[Command, dict[str, Any] | int]] = {
    "included": (find(ID, projection={"data.k": 1, "_id": 0}), {"data": [{"k": 1}, {"k": 2}]}),
    "excluded": (
        find(ID, projection={"data.v": 0, "tags": 0, "meta.other": 0}),
        {"_id": "a", "name": "x", "level": 5, "data": [{"k": 1}, {"k": 2}], "meta": {}, "extra": None},
    ),
    "cut": (
        find(ID, projection={"tags": {"$slice": -2}, "data.v": {"$slice": 1}, "extra": 0}),
        {
            "_id": "a",
            "name": "x",
            "level": 5,
            "tags": ["q", "r"],
            "data": [{"k": 1, "v": [1]}, {"k": 2, "v": [3]}],
            "meta": {"other": 1},
        },
    ),
    "matched": (find(ID, projection={"data": {"$elemMatch": {"k": 2}}}), {"_id": "a", "data": [{"k": 2, "v": [3]}]}),
    "found": (find({"tags": "q"}, projection={"tags.$": 1, "level": 1}), {"_id": "a", "level": 5, "tags": ["q"]}),
    "found among documents": (
        find({"data.k": 2, **ID}, projection={"data.$": 1}),
        {"_id": "a", "data": [{"k": 2, "v": [3]}]},
    ),
    "not found": (find({**ID, "tags": {"$size": 3}}, projection={"tags.$": 1}), 51246),
    "not in the filter": (find(ID, projection={"tags.$": 1}), 31277),
    "computed": (
        find(ID, projection={"sum": {"$add": ["$level", "$$v"]}, "k": "$data.k"}, let={"v": 2}),
        {"_id": "a", "sum": 7, "k": [1, 2]},
    ),
    "no document": (find(ID, projection=["level"]), 14),
    "mixed": (find(ID, projection={"level": 1, "name": 0}), 31254),
    "collision": (find(ID, projection={"meta": 1, "meta.other": 1}), 31249),
    "collision at the end": (find(ID, projection={"meta.other": 1, "meta": 1}), 31250),
    "modified": (
        modify(ID, update={"$set": {"level": 6}}, new=True, fields={"next": {"$add": ["$level", 1]}}),
        {"_id": "a", "next": 7},
    ),
    "modified, found": (
        modify({"tags": "q"}, update={"$set": {"tags.$": "z"}}, fields={"tags.$": 1}),
        {"_id": "a", "tags": ["q"]},
    ),
    "removed, found": (modify({"tags": "r"}, remove=True, fields={"tags.$": 1, "_id": 0}), {"tags": ["r"]}),
    "new, found": (modify({"tags": "q"}, update={"$set": {"x": 1}}, fields={"tags.$": 1}, new=True), 2),
}


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, postgres_dsn: str) -> AsyncIterator[Store]:
    async with open_store(postgres_dsn, request.param) as opened:
        yield opened


async def test_projections(store: Store) -> None:
    for case, (command, outcome) in CASES.items():
        await store.run({"delete": command.get("find", "things"), "deletes": [{"q": {}, "limit": 0}]}, insert(DOCUMENT))
        reply = await store.run(command)
        if isinstance(outcome, int):
            assert reply.get("code") == outcome, case
            assert len(await store.find({})) == 1, case
        else:
            assert reply["ok"] == 1.0, (case, reply)
            shown = reply["value"] if "value" in reply else reply["cursor"]["firstBatch"][0]
            assert encode(shown) == encode(outcome), (case, shown)
