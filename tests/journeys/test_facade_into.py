"""``$merge`` and ``$out`` through a façade, whichever stores lead the collection that is read and the one written."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from bson.objectid import ObjectId
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.read_concern import ReadConcern

from shadow import runtime
from shadow.config import load
from shadow.facade import into
from shadow_adapters.bson.codec import decode
from tests.journeys import facade_worlds
from tests.journeys.facade_worlds import CLIENTS, LED_BY_NEW, PHASES, World, world_of
from tests.journeys.runtime_support import until

Document = dict[str, Any]

SOURCE: list[Document] = [
    {"_id": 1, "k": 1, "a": 1, "sub": {"y": 3}},
    {"_id": 2, "k": 2, "a": 2},
    {"_id": 3, "k": 3, "a": 3},
]
TARGET: list[Document] = [
    {"_id": 1, "k": 1, "a": 10, "sub": {"x": 1, "y": 2}},
    {"_id": 2, "k": 2, "a": 20, "z": True},
    {"_id": 9, "k": 9, "a": 90},
]
OLD_1, OLD_2, OLD_9 = TARGET
ADD = [{"$set": {"a": {"$add": ["$a", "$$new.a"]}}}]


@dataclass(frozen=True)
class Case:
    """A pipeline, ``TARGET`` standing for the target's name, and what becomes of the target: documents, or an error.

    ``after``: the documents where there is an error; ``otherwise``: the stand-in for MongoDB does not do this as
    MongoDB's manual has it.
    """

    stage: Document
    expected: list[Document] | int
    head: list[Document] = field(default_factory=list)
    options: Document = field(default_factory=dict)
    after: list[Document] = field(default_factory=lambda: TARGET)
    otherwise: bool = False


def merge(**options: Any) -> Document:
    return {"$merge": {"into": "TARGET", **options}}


MERGED_1 = {**OLD_1, "a": 1, "sub": {"y": 3}}
MERGED_2 = {**OLD_2, "a": 2}
CASES: dict[str, Case] = {
    "a name": Case({"$merge": "TARGET"}, [MERGED_1, MERGED_2, SOURCE[2], OLD_9], otherwise=True),
    "another database's form": Case(
        {"$merge": {"into": {"db": "DATABASE", "coll": "TARGET"}, "on": "_id"}},
        [OLD_1, MERGED_2, SOURCE[2], OLD_9],
        [{"$match": {"_id": {"$gt": 1}}}],
    ),
    "merge, discard": Case(
        merge(whenNotMatched="discard"), [OLD_1, MERGED_2, OLD_9], [{"$match": {"_id": {"$gt": 1}}}]
    ),
    "merge, fail": Case(merge(whenNotMatched="fail"), 13113, after=[MERGED_1, MERGED_2, OLD_9], otherwise=True),
    "replace": Case(merge(whenMatched="replace"), [*SOURCE, OLD_9]),
    "replace, discard": Case(merge(whenMatched="replace", whenNotMatched="discard"), [*SOURCE[:2], OLD_9]),
    "replace, fail": Case(
        merge(whenMatched="replace", whenNotMatched="fail"), 13113, after=[*SOURCE[:2], OLD_9], otherwise=True
    ),
    "keep": Case(merge(whenMatched="keepExisting"), [OLD_1, OLD_2, SOURCE[2], OLD_9]),
    "fail": Case(merge(whenMatched="fail"), 11000, after=[OLD_1, OLD_2, SOURCE[2], OLD_9], otherwise=True),
    "fail of none": Case(merge(whenMatched="fail"), [OLD_1, OLD_2, SOURCE[2], OLD_9], [{"$match": {"_id": 3}}]),
    "a pipeline": Case(merge(whenMatched=ADD), [{**OLD_1, "a": 11}, {**OLD_2, "a": 22}, SOURCE[2], OLD_9]),
    "a pipeline, discard": Case(
        merge(whenMatched=ADD, whenNotMatched="discard"), [{**OLD_1, "a": 11}, {**OLD_2, "a": 22}, OLD_9]
    ),
    "a pipeline, fail": Case(
        merge(whenMatched=ADD, whenNotMatched="fail"),
        13113,
        after=[{**OLD_1, "a": 11}, {**OLD_2, "a": 22}, OLD_9],
        otherwise=True,
    ),
    "a pipeline with let": Case(
        merge(whenMatched=[{"$set": {"a": "$$b", "n": "$$new.k"}}], let={"b": {"$multiply": ["$a", 5]}}),
        [{**OLD_1, "a": 5, "n": 1}, {**OLD_2, "a": 10, "n": 2}, SOURCE[2], OLD_9],
    ),
    "a pipeline with the command's let": Case(
        merge(whenMatched=[{"$set": {"a": "$$v"}}], whenNotMatched="discard"),
        [{**OLD_1, "a": "$a"}, {**OLD_2, "a": "$a"}, OLD_9],
        options={"let": {"v": {"$literal": "$a"}}},
    ),
    "a pipeline that no update may have": Case(merge(whenMatched=[{"$match": {}}]), 72, otherwise=True),
    "by another field": Case(
        merge(on="k", whenMatched="replace"),
        [{"_id": 1, **SOURCE[0]}, SOURCE[1], OLD_9],
        [{"$match": {"k": {"$lt": 3}}}, {"$project": {"_id": 0}}],
    ),
    "by another field, inserting": Case(
        merge(on=["k"], whenMatched="replace"),
        [OLD_1, OLD_2, {"_id": 33, **{name: SOURCE[2][name] for name in ("k", "a")}}, OLD_9],
        [{"$match": {"k": 3}}, {"$set": {"_id": 33}}],
    ),
    "by another field, with another _id": Case(
        merge(on="k", whenMatched="replace"), 66, [{"$match": {"k": 1}}, {"$set": {"_id": 7}}], otherwise=True
    ),
    "by a field that is an array": Case(
        merge(on="k"), 51185, [{"$match": {"k": 1}}, {"$set": {"k": [1]}}], otherwise=True
    ),
    "by no unique index": Case(merge(on="a"), 51183, otherwise=True),
    "by more than a unique index": Case(merge(on=["k", "a"]), 51183, otherwise=True),
    "nothing": Case(merge(), TARGET, [{"$match": {"a": 99}}]),
    "groups": Case(
        merge(whenMatched="replace"),
        [OLD_1, OLD_2, {"_id": {"r": 0}, "k": 102}, {"_id": {"r": 1}, "k": 204}, OLD_9],
        [{"$group": {"_id": {"r": {"$mod": ["$a", 2]}}, "k": {"$sum": {"$add": ["$k", 100]}}}}],
    ),
    "no mode": Case(merge(whenMatched="x"), 2, otherwise=True),
    "modes that do not go together": Case(merge(whenMatched="fail", whenNotMatched="discard"), 51181, otherwise=True),
    "let without a pipeline": Case(merge(let={"x": 1}), 51199, otherwise=True),
    "an unknown field": Case(merge(x=1), 40415),
    "no place": Case({"$merge": {"on": "_id"}}, 40414),
    "a number": Case({"$merge": 1}, 14),
    "out": Case({"$out": "TARGET"}, SOURCE),
    "out in another database's form": Case({"$out": {"db": "DATABASE", "coll": "TARGET"}}, SOURCE[:1], [{"$limit": 1}]),
    "out of nothing": Case({"$out": "TARGET"}, [], [{"$match": {"a": 99}}]),
    "out of a bad pipeline": Case({"$out": "TARGET"}, 40324, [{"$bad": 1}]),
    "out of what fails on its way": Case({"$out": "TARGET"}, 14, [{"$set": {"x": {"$divide": ["$a", "q"]}}}]),
    "out of two of one _id": Case({"$out": "TARGET"}, 11000, [{"$set": {"_id": 5}}], otherwise=True),
    "out of a number": Case({"$out": 1}, 16990),
    "out without a database": Case({"$out": {"coll": "TARGET"}}, 40414),
    "out before the end": Case(merge(), 40601, [{"$out": "x"}]),
    "two stages in one": Case({"$out": "x", "$match": {}}, 40323),
}
"""``_id`` orders what is expected."""


def named(stage: Any, database: str, target: str) -> Any:
    """The stage with its names."""
    if isinstance(stage, dict):
        return {name: named(value, database, target) for name, value in stage.items()}
    return {"TARGET": target, "DATABASE": database}.get(stage, stage) if isinstance(stage, str) else stage


async def run(database: Any, source: str, target: str, case: Case) -> Any:
    """What the aggregation came to: its documents, or the error's code."""
    pipeline = [*copy.deepcopy(case.head), named(case.stage, database[source].database.name, target)]
    try:
        cursor = database[source].aggregate(pipeline, **case.options)
        cursor = await cursor if hasattr(cursor, "__await__") else cursor
        return await cursor.to_list(None), cursor.alive
    except OperationFailure as error:
        assert type(error) in (OperationFailure, DuplicateKeyError)  # not that of a write of its own
        return error.code


async def documents(collection: Any) -> list[Document]:
    found: list[Document] = await collection.find().to_list(None)
    return sorted(found, key=lambda document: str(document["_id"]))


def in_order(expected: list[Document]) -> list[Document]:
    return sorted(expected, key=lambda document: str(document["_id"]))


async def seed(*pairs: tuple[Any, list[Document]]) -> None:
    for collection, content in pairs:
        await collection.delete_many({})
        await collection.insert_many(copy.deepcopy(content))
        await collection.create_index("k", unique=True)


async def failures(world: World, source: str, target: str, *, all_of_them: bool) -> dict[str, Any]:
    """The cases that end otherwise than they should. Those that the stand-in does in its own way may be left out."""
    found = {}
    for name, case in CASES.items():
        if case.otherwise and not all_of_them:
            continue
        await seed((world.facade[source], SOURCE), (world.facade[target], TARGET))
        told = await run(world.facade, source, target, case)
        left = await documents(world.facade[target])
        wanted = ([], False) if isinstance(case.expected, list) else case.expected
        content = case.expected if isinstance(case.expected, list) else case.after
        if (told, left) != (wanted, in_order(content)):
            found[name] = told, left
    return found


@pytest.fixture(params=list(CLIENTS))
async def world(
    request: pytest.FixtureRequest, mongo_uri: str, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    def settling_soon(path: Path) -> Any:
        path.write_text(path.read_text().replace("[protocol]\n", "[protocol]\nsettle_seconds = 1.0\n"))
        return load(path)

    monkeypatch.setattr(facade_worlds, "load", settling_soon)
    async with world_of(request.param, mongo_uri, postgres_dsn, tmp_path, ("", "other_")) as made:
        yield made


@pytest.mark.parametrize("phase", PHASES)
async def test_a_collection_is_written_as_mongodb_does_in(world: World, phase: str) -> None:
    found = await failures(world, phase, f"other_{phase}", all_of_them=phase in LED_BY_NEW)
    assert found == {}


async def test_the_stand_in_differs_where_it_is_named(world: World) -> None:
    """What is told of the cases above, so that a stand-in that has learnt one is noticed."""
    differing = set(await failures(world, "legacy", "other_legacy", all_of_them=True))
    assert differing == {name for name, case in CASES.items() if case.otherwise}


BOTH = [merge(whenMatched="replace"), {"$out": "TARGET"}]


@pytest.mark.parametrize("source", PHASES)
async def test_every_target_gets_what_comes_of(world: World, source: str) -> None:
    for target in (*(f"other_{phase}" for phase in PHASES), source, "elsewhere"):
        for stage in BOTH:
            content = SOURCE if target == source else TARGET
            await seed((world.facade[source], SOURCE), (world.facade[target], content))
            case = Case(stage, [], [{"$match": {"_id": {"$gt": 1}}}, {"$set": {"a": 7}}])
            assert await run(world.facade, source, target, case) == ([], False), (target, stage)
            made = [{**each, "a": 7} for each in SOURCE[1:]]
            left = [] if "$out" in stage else [each for each in content if each["_id"] not in (2, 3)]
            assert await documents(world.facade[target]) == in_order(left + made), (target, stage)
            if source in LED_BY_NEW:  # the stand-in's own $out forgets the indexes
                assert await _index_names(world, target) == {"_id_", "k_1"}
    assert runtime.current().entities[f"in_{source}"].unsupported == {}


async def _index_names(world: World, target: str) -> set[str]:
    information: Document = await world.facade[target].index_information()
    return set(information)


FOLLOWED = [phase for phase in PHASES if phase not in ("legacy", "new")]


@pytest.mark.parametrize("target", FOLLOWED)
@pytest.mark.parametrize("source", ["dual_write", "new"])
async def test_the_stores_are_equal_after_it(world: World, postgres_dsn: str, source: str, target: str) -> None:
    place = f"other_{target}"
    entity = runtime.current().entities[f"in_{place}"]
    conn = await asyncpg.connect(postgres_dsn)

    async def covered() -> bool:
        return bool(
            await conn.fetchval(
                "SELECT EXISTS (SELECT FROM shadow.mark WHERE entity = $1 AND closed_at IS NULL) "
                "OR EXISTS (SELECT FROM shadow.debt WHERE entity = $1 AND paid_at IS NULL)",
                f"in_{place}",
            )
        )

    async def on_new() -> list[Document]:
        rows = await conn.fetch(f"SELECT doc FROM {entity.layout.table}")
        return in_order([decode(row[0]) for row in rows])

    try:
        for stage in BOTH:
            await seed((world.facade[source], SOURCE), (world.facade[place], TARGET))
            assert await run(world.facade, source, place, Case(stage, [])) == ([], False)
            wanted = in_order(SOURCE if "$out" in stage else [*SOURCE, OLD_9])
            assert await documents(world.facade[place]) == wanted

            async def equal(wanted: list[Document] = wanted) -> bool:
                same = await documents(world.plain(place)) == wanted == await on_new()
                return same and not await covered()

            await until(equal, f"equal stores after {stage}")
        assert entity.unsupported == {}
    finally:
        await conn.close()


async def test_an_unnamed_document_gets_an_id(world: World) -> None:
    for source, target in (("new", "other_new"), ("new", "elsewhere"), ("dual_write", "other_dual_write")):
        for stage in BOTH:
            await seed((world.facade[source], SOURCE))
            await world.facade[target].delete_many({})
            assert await run(world.facade, source, target, Case(stage, [], [{"$project": {"_id": 0}}])) == ([], False)
            found = await world.facade[target].find().to_list(None)
            assert [type(each["_id"]) for each in found] == [ObjectId] * 3
            assert sorted(each["a"] for each in found) == [1, 2, 3]


async def test_a_result_that_is_not_held_is_the_drivers_or_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(into, "LIMIT", 60)
    for stage in BOTH:
        for source, target in (("new", "other_new"), ("new", "elsewhere"), ("legacy", "other_new")):
            await seed((world.facade[source], SOURCE), (world.facade[target], TARGET))
            assert await run(world.facade, source, target, Case(stage, [])) == 292
            assert await documents(world.facade[target]) == in_order(TARGET)
        await seed((world.facade["legacy"], SOURCE), (world.facade["other_dual_write"], TARGET))
        assert await run(world.facade, "legacy", "other_dual_write", Case(stage, [])) == ([], False)
        assert (await documents(world.facade["other_dual_write"]))[:3] == in_order(SOURCE)


async def test_it_is_refused_in_a_transaction(world: World) -> None:
    async with await _now(world.clients[1].start_session()) as session:
        await _now(session.start_transaction())
        for stage in BOTH:
            case = Case(stage, [], options={"session": session})
            assert await run(world.facade, "new", "other_new", case) == 263
        await session.abort_transaction()


@pytest.mark.parametrize("phase", LED_BY_NEW)
async def test_it_is_refused_under_a_read_concern_that_it_cannot_keep(world: World, phase: str) -> None:
    await seed((world.facade[phase], SOURCE))
    strict = world.facade[phase].with_options(read_concern=ReadConcern("linearizable"))
    for stage in BOTH:
        assert await run({phase: strict}, phase, "elsewhere", Case(named(stage, "", "elsewhere"), [])) == 72


async def _now(made: Any) -> Any:
    return await made if hasattr(made, "__await__") else made


@pytest.mark.parametrize("phase", LED_BY_NEW)
async def test_as_a_command_it_is_refused_by_name(world: World, phase: str) -> None:
    await seed((world.facade[phase], SOURCE))
    for stage in BOTH:
        command = {"aggregate": phase, "pipeline": [named(stage, "", "elsewhere")], "cursor": {}}
        with pytest.raises(OperationFailure) as caught:
            await _now(world.facade.command(command))
        assert caught.value.code == 115


async def test_what_is_not_configured_is_the_drivers_own(world: World) -> None:
    await seed((world.plain("elsewhere"), SOURCE), (world.facade["other_dual_write"], TARGET))
    entity = runtime.current().entities["in_other_dual_write"]
    assert await run(world.facade, "elsewhere", "other_dual_write", Case(BOTH[0], [])) == ([], False)
    assert await documents(world.facade["other_dual_write"]) == in_order([*SOURCE, OLD_9])
    assert entity.unsupported == {}
    assert type(world.facade["elsewhere"]) is type(world.bare["elsewhere"])
