"""Which records a write touches, and how it is narrowed to them."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from bson.binary import Binary, UuidRepresentation
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.timestamp import Timestamp
from pymongo import AsyncMongoClient, DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne

from shadow.ops.base import Bound, Chosen, Many, Named
from shadow.ops.bulk_write import bulk_parts
from shadow.ops.count_documents import CountDocumentsOp
from shadow.ops.delete_many import DeleteManyOp
from shadow.ops.delete_one import DeleteOneOp
from shadow.ops.driver import Driver
from shadow.ops.find_one import FindOneOp
from shadow.ops.find_one_and_update import FindOneAndUpdateOp
from shadow.ops.insert_many import InsertManyOp
from shadow.ops.insert_one import InsertOneOp
from shadow.ops.replace_one import ReplaceOneOp
from shadow.ops.targets import can_narrow
from shadow.ops.update_many import UpdateManyOp
from shadow.ops.update_one import UpdateOneOp
from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.bson.collation import compile_collation
from shadow_adapters.bson.keys import key_of
from shadow_adapters.bson.match import compile_filter

SET = {"$set": {"a": 1}}


@pytest.fixture
def driver() -> Driver:
    """A driver's collection that never connects."""
    collection = AsyncMongoClient[dict[str, Any]]("mongodb://127.0.0.1:1", connect=False)["d"].get_collection(
        "c", codec_options=CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
    )
    return Driver(collection, collection)


def filters(driver: Driver) -> Iterator[tuple[Any, Any]]:
    id = ObjectId()
    yield UpdateOneOp(driver, {"_id": id}, SET), Named(id)
    yield UpdateOneOp(driver, {"_id": {"$in": [id]}, "a": 1}, SET), Named(id)
    yield UpdateOneOp(driver, {"a": 1}, SET), Chosen({"a": 1})
    yield (
        UpdateOneOp(driver, {"_id": "x"}, SET, collation={"locale": "de"}),
        Chosen({"_id": "x"}, collation={"locale": "de"}),
    )
    yield (
        UpdateOneOp(driver, {"a": 1}, SET, True, sort={"b": 1}, hint="a_1"),
        Chosen({"a": 1}, sort={"b": 1}, upsert=True, hint="a_1"),
    )
    yield (
        UpdateOneOp(driver, {"a": 1}, {"$setOnInsert": {"_id": 5}}, True),
        Chosen({"a": 1}, upsert=True, upsert_id=Named(5)),
    )
    yield ReplaceOneOp(driver, {"a": 1}, {"_id": 5}, True), Chosen({"a": 1}, upsert=True, upsert_id=Named(5))
    yield (
        UpdateOneOp(driver, {"a": 1}, [{"$set": {"_id": {"$add": ["$a", "$$x"]}}}], True, let={"x": 4}),
        Chosen({"a": 1}, upsert=True, upsert_id=Named(5), let={"x": 4}),
    )
    yield UpdateOneOp(driver, {"a": 1}, [{"$set": {"b": 1}}], True), Chosen({"a": 1}, upsert=True)
    yield UpdateOneOp(driver, {"a": 1}, [{"$match": {}}], True), Chosen({"a": 1}, upsert=True)
    yield UpdateOneOp(driver, {"$and": 5}, [{"$set": {"b": 1}}], True), Chosen({"$and": 5}, upsert=True)
    yield UpdateManyOp(driver, {"a": 1}, SET, let={"x": 1}), Many({"a": 1}, let={"x": 1})
    yield UpdateManyOp(driver, {"_id": 1}, SET), Named(1)
    yield DeleteOneOp(driver, {"a": 1}), Chosen({"a": 1})
    yield DeleteManyOp(driver, {"a": 1}), Many({"a": 1})
    yield FindOneAndUpdateOp(driver, {"a": 1}, SET, None, [("b", -1)]), Chosen({"a": 1}, sort={"b": -1})
    yield FindOneAndUpdateOp(driver, {"_id": 3}, SET), Named(3)


def test_the_target_of_each_write(driver: Driver) -> None:
    for op, target in filters(driver):
        assert op.targets() == [target], op.command()


def test_a_filter_is_narrowed_beside_what_it_says(driver: Driver) -> None:
    one = UpdateOneOp(driver, {"a": 1}, SET)
    assert one.bind([Bound((7,))]).command()["updates"][0]["q"] == {"a": 1, "_id": 7}
    assert one.bind([Bound()]).command()["updates"][0]["q"] == {"a": 1, "_id": {"$in": []}}
    assert one.command()["updates"][0]["q"] == {"a": 1}, "the operation itself stays as it was"
    ranged = DeleteManyOp(driver, {"_id": {"$gt": 3}})
    assert ranged.bind([Bound((7, 8))]).command()["deletes"][0]["q"] == {
        "$and": [{"_id": {"$gt": 3}}, {"_id": {"$in": [7, 8]}}]
    }
    popped = FindOneAndUpdateOp(driver, {"a": 1}, SET)
    assert popped.bind([Bound((7,))]).command()["query"] == {"a": 1, "_id": 7}
    named = DeleteOneOp(driver, {"_id": 1, "a": 2})
    assert named.bind([Bound((1,))]).filter is named.filter


def test_under_a_collation_a_text_is_named_by_a_pattern(driver: Driver) -> None:
    op = UpdateManyOp(driver, {"a": "x"}, SET, collation={"locale": "en", "strength": 2})
    (target,) = op.targets()
    names = ["a.b", "A\n", "\\d"]
    for name in names:
        filter = op.bind([Bound((name,))]).command()["updates"][0]["q"]
        others = [name, name + "\n", name.swapcase(), name + "x", "x" + name, "aXb", "5"]
        matches = compile_filter(filter, collation=compile_collation({"locale": "en", "strength": 2})).matches
        assert [other for other in others if matches({"_id": other, "a": "X"})] == [name]
    several = op.bind([Bound((*names, 7))]).command()["updates"][0]["q"]["_id"]["$in"]
    assert [type(each) for each in several] == [Regex, Regex, Regex, int]
    assert [can_narrow(id, target) for id in ("x", 5, ObjectId(), {"b": 1}, {"b": "x"}, "a\0b")] == [True] * 4 + [
        False
    ] * 2
    assert can_narrow({"b": "x"}, Many({"a": "x"}))


def test_an_upsert_takes_its_id_from_the_narrowed_filter(driver: Driver) -> None:
    op = UpdateOneOp(driver, {"a": 1}, SET, True).bind([Bound((), "given", True)])
    statement = op.command()["updates"][0]
    assert statement["q"] == {"a": 1, "_id": "given"} and statement["upsert"] is True
    assert statement["u"] == SET


def test_an_upsert_whose_record_was_found_may_not_insert(driver: Driver) -> None:
    update = UpdateOneOp(driver, {"a": 1}, SET, True).bind([Bound((7,))])
    assert update.command()["updates"][0]["upsert"] is False
    popped = FindOneAndUpdateOp(driver, {"a": 1}, SET, upsert=True)
    assert popped.command()["upsert"] is True and not popped.missed(None)
    assert popped.bind([Bound((7,))]).command()["upsert"] is False and popped.bind([Bound((7,))]).missed(None)
    assert popped.bind([Bound((), 7, True)]).command()["upsert"] is True
    part = bulk_parts(driver, [UpdateOne({"a": 1}, SET, upsert=True)])[0].bind([Bound((7,))])
    assert part.command()["updates"][0]["upsert"] is False and part.statements[0].request._upsert is False
    named = UpdateOneOp(driver, {"_id": 7}, SET, True).bind([Bound((7,))])
    assert named.command()["updates"][0]["upsert"] is True


def test_commands_are_the_wires(driver: Driver) -> None:
    moment = datetime.datetime(2024, 1, 1)
    insert = InsertOneOp(driver, {"a": moment, "_id": 1}, comment="why")
    command = insert.command()
    assert list(command) == ["insert", "ordered", "documents", "comment"]
    assert list(command["documents"][0]) == ["_id", "a"] and type(command["documents"][0]["a"]) is DatetimeMS
    update = UpdateOneOp(driver, {"a": 1}, SET, array_filters=[{"x": 1}], hint=[("a", 1)])
    assert update.command()["updates"][0] == {
        "q": {"a": 1},
        "u": SET,
        "multi": False,
        "upsert": False,
        "arrayFilters": [{"x": 1}],
        "hint": {"a": 1},
    }
    found = FindOneOp(driver, {"a": 1}, {"b": 1}, sort=[("c", -1)], max_time_ms=5, comment="why", hint="a_1")
    assert found.command() == {
        "find": "c",
        "sort": {"c": -1},
        "hint": "a_1",
        "comment": "why",
        "maxTimeMS": 5,
        "filter": {"a": 1},
        "projection": {"b": 1},
        "limit": 1,
        "singleBatch": True,
    }
    popped = FindOneAndUpdateOp(driver, {"a": 1}, SET, ["b"], [("c", 1)], True, True, maxTimeMS=5)
    assert popped.command() == {
        "findAndModify": "c",
        "query": {"a": 1},
        "new": True,
        "maxTimeMS": 5,
        "update": SET,
        "upsert": True,
        "fields": {"b": 1},
        "sort": {"c": 1},
    }
    assert CountDocumentsOp(driver, {"a": 1}, skip=1, limit=2).command()["pipeline"] == [
        {"$match": {"a": 1}},
        {"$skip": 1},
        {"$limit": 2},
        {"$group": {"_id": 1, "n": {"$sum": 1}}},
    ]


@pytest.mark.parametrize(
    ("args", "kwargs", "id"),
    [
        (({"_id": 1},), {}, Named(1)),
        ((1,), {}, Named(1)),
        (({"_id": 1, "a": 2},), {}, Named(1)),
        (({"_id": 1},), {"skip": 1}, None),
        (({"_id": "x"},), {"collation": {"locale": "de"}}, None),
        (({"a": 1},), {}, None),
        ((None,), {}, None),
        (({"_id": None},), {}, Named(None)),
    ],
)
def test_the_record_that_a_find_one_names(driver: Driver, args: Any, kwargs: Any, id: Any) -> None:
    assert FindOneOp(driver, *args, **kwargs).id() == id


def test_the_record_that_a_count_names(driver: Driver) -> None:
    assert CountDocumentsOp(driver, {"_id": 1}).id() == Named(1)
    assert CountDocumentsOp(driver, {"_id": 1}, skip=1).id() is None


def test_whole_records(driver: Driver) -> None:
    id = ObjectId()
    assert decode(InsertOneOp(driver, {"a": 1, "_id": id}).whole()[key_of(id)]) == {"_id": id, "a": 1}  # type: ignore[index,arg-type]
    assert set(InsertManyOp(driver, [{"_id": 1}, {"_id": 2}]).whole() or ()) == {key_of(1), key_of(2)}
    assert InsertOneOp(driver, {"_id": 1, "t": Timestamp(0, 0)}).whole() is None
    replaced = ReplaceOneOp(driver, {"_id": id, "a": 2}, {"b": 1}).whole()
    assert replaced is not None and decode(replaced[key_of(id)] or b"") == {"_id": id, "b": 1}
    assert ReplaceOneOp(driver, {"_id": 1.0}, {"b": 1}).whole() is None
    assert ReplaceOneOp(driver, {"a": 1}, {"b": 1}).whole() is None
    assert UpdateOneOp(driver, {"_id": 1}, SET).whole() is None
    assert DeleteOneOp(driver, {"_id": 1}).whole() == {key_of(1): None}
    assert DeleteManyOp(driver, {"a": 1}).whole() is None


def test_a_raw_document_without_an_id_is_given_one(driver: Driver) -> None:
    raw = RawBSONDocument(encode({"a": 1}))
    op = InsertOneOp(driver, raw)
    assert isinstance(op.targets()[0].id, ObjectId)  # type: ignore[union-attr]
    assert op.command()["documents"][0]["_id"] == op.targets()[0].id  # type: ignore[union-attr]
    assert op.result({"n": 1, "ok": 1}).inserted_id is None and "_id" not in raw


def test_ids_are_in_the_wires_form(driver: Driver) -> None:
    id = uuid.UUID(int=5)
    assert DeleteOneOp(driver, {"_id": id}).targets() == [Named(Binary(id.bytes, 4))]


def parts(driver: Driver, requests: list[Any], ordered: bool = True) -> list[list[int]]:
    return [[s.place for s in part.statements] for part in bulk_parts(driver, requests, ordered)]


def test_a_bulk_is_split_where_a_filter_must_be_resolved(driver: Driver) -> None:
    requests = [
        InsertOne({"_id": 1}),
        InsertOne({}),
        UpdateOne({"_id": 1}, SET),
        ReplaceOne({"_id": 2}, {"a": 1}),
        UpdateMany({"a": 1}, SET),
        UpdateOne({"a": 1}, SET),
        UpdateOne({"_id": 3}, SET),
        DeleteOne({"_id": 1}),
        DeleteMany({"a": 1}),
        InsertOne({"_id": 9}),
    ]
    assert parts(driver, requests) == [[0, 1], [2, 3], [4], [5], [6], [7], [8], [9]]
    assert parts(driver, requests, False) == [[0, 1, 9], [2, 3], [4], [5], [6], [7], [8]]


def test_a_part_of_a_bulk_is_one_command(driver: Driver) -> None:
    inserts, update, deletes = bulk_parts(
        driver,
        [InsertOne({"_id": 1}), UpdateMany({"a": 1}, SET, upsert=True), DeleteOne({"_id": 1}), DeleteMany({"_id": 2})],
        bypass_document_validation=True,
        let={"x": 1},
    )
    assert inserts.command() == {
        "insert": "c",
        "ordered": True,
        "documents": [{"_id": 1}],
        "bypassDocumentValidation": True,
    }
    assert update.command()["updates"] == [{"q": {"a": 1}, "u": SET, "multi": True, "upsert": True}]
    assert update.command()["let"] == {"x": 1}
    bound = update.bind([Bound((), 5, True)])
    assert bound.command()["updates"][0]["q"] == {"a": 1, "_id": 5}
    assert update.statements[0].request._filter == {"a": 1}, "the caller's request stays as it was"
    assert deletes.command()["deletes"] == [{"q": {"_id": 1}, "limit": 1}, {"q": {"_id": 2}, "limit": 0}]
    assert deletes.whole() == {key_of(1): None, key_of(2): None}
    assert bulk_parts(driver, [DeleteOne({"_id": 1, "a": 1})])[0].whole() is None
