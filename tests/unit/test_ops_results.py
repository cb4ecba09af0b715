"""Replies of a store become the driver's own results and exceptions."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from pymongo import AsyncMongoClient, InsertOne, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError, ExecutionTimeout, OperationFailure, WriteError

from shadow.ops.bulk_write import bulk_parts
from shadow.ops.count_documents import CountDocumentsOp
from shadow.ops.delete_one import DeleteOneOp
from shadow.ops.distinct import DistinctOp
from shadow.ops.driver import Driver
from shadow.ops.find_one import FindOneOp
from shadow.ops.find_one_and_update import FindOneAndUpdateOp
from shadow.ops.insert_many import InsertManyOp
from shadow.ops.insert_one import InsertOneOp
from shadow.ops.replies import driver_error
from shadow.ops.update_one import UpdateOneOp
from shadow_adapters.failures import CommandFailure

SET = {"$set": {"a": 1}}
DUPLICATE = {"index": 0, "code": 11000, "errmsg": "E11000", "keyPattern": {"_id": 1}, "keyValue": {"_id": 1}}


def driver_with(**options: Any) -> Driver:
    client = AsyncMongoClient[dict[str, Any]]("mongodb://127.0.0.1:1", connect=False)
    collection = client["d"].get_collection("c", **options)
    return Driver(collection, collection)


@pytest.fixture
def driver() -> Driver:
    return driver_with()


def test_a_document_comes_back_in_the_callers_form(driver: Driver) -> None:
    op = FindOneOp(driver, {})
    document = {"_id": 1, "at": DatetimeMS(1000)}
    found = op.result({"cursor": {"firstBatch": [document], "id": 0}, "ok": 1})
    assert found == {"_id": 1, "at": datetime.datetime(1970, 1, 1, 0, 0, 1)}
    assert op.observed(found) == document
    assert op.result({"cursor": {"firstBatch": [], "id": 0}, "ok": 1}) is None


def test_distinct_values_are_compared_as_a_set(driver: Driver) -> None:
    op = DistinctOp(driver, "a", {"b": 1}, maxTimeMS=5)
    assert op.command() == {"distinct": "c", "key": "a", "maxTimeMS": 5, "query": {"b": 1}}
    values = op.result({"values": [2, 1.0, None, "x"], "ok": 1})
    assert values == [2, 1.0, None, "x"]
    assert op.observed(values) == op.observed([1, None, "x", Int64(2)]) != op.observed([1, None, "x"])
    assert [value.id for value in [DistinctOp(driver, "a", {"_id": 5}).id()] if value] == [5]


def test_an_update_says_what_it_did(driver: Driver) -> None:
    op = UpdateOneOp(driver, {"a": 1}, SET)
    done = op.result({"n": 1, "nModified": 1, "ok": 1.0})
    assert (done.matched_count, done.modified_count, done.upserted_id) == (1, 1, None)
    assert done.raw_result == {"n": 1, "nModified": 1, "ok": 1.0, "updatedExisting": True}
    assert op.changed(done) and not op.changed(op.result({"n": 1, "nModified": 0, "ok": 1.0}))
    made = op.result({"n": 1, "nModified": 0, "upserted": [{"index": 0, "_id": 5}], "ok": 1.0})
    assert (made.matched_count, made.upserted_id, made.did_upsert) == (0, 5, True)
    assert not op.missed(done) and not op.missed(made)
    assert op.missed(op.result({"n": 0, "nModified": 0, "ok": 1.0}))
    assert op.changed(made) and op.observed(made) == {"n": 0, "nModified": 0, "upserted": 5}


def test_errors_are_of_the_drivers_classes(driver: Driver) -> None:
    with pytest.raises(DuplicateKeyError) as duplicate:
        InsertOneOp(driver, {"_id": 1}).result({"n": 0, "writeErrors": [DUPLICATE], "ok": 1})
    assert duplicate.value.details == DUPLICATE
    refused = {"index": 0, "code": 121, "errmsg": "Document failed validation", "unsupported": "x"}
    with pytest.raises(WriteError) as invalid:
        UpdateOneOp(driver, {}, SET).result({"n": 0, "writeErrors": [refused], "ok": 1})
    assert invalid.value.code == 121 and "unsupported" not in (invalid.value.details or {})
    with pytest.raises(ExecutionTimeout):
        FindOneOp(driver, {}).result({"ok": 0, "code": 50, "errmsg": "too long"})
    with pytest.raises(OperationFailure, match="unknown operator"):
        FindOneAndUpdateOp(driver, {}, SET).result({"ok": 0, "code": 2, "errmsg": "unknown operator: $x"})
    error = driver_error(CommandFailure(2, "unknown operator: $x", unsupported="$x"))
    assert (type(error), error.code) == (OperationFailure, 2)


def test_a_bulk_error_has_places_and_statements(driver: Driver) -> None:
    with pytest.raises(BulkWriteError) as many:
        op = InsertManyOp(driver, [{"_id": 0}, {"_id": 1}])
        op.result({"n": 1, "writeErrors": [DUPLICATE | {"index": 1}], "ok": 1})
    assert many.value.details["writeErrors"] == [DUPLICATE | {"index": 1, "op": {"_id": 1}}]
    assert many.value.details["nInserted"] == 1
    part = bulk_parts(driver, [UpdateOne({"_id": 1}, SET, upsert=True)])[0]
    result = part.result({"n": 1, "nModified": 0, "upserted": [{"index": 0, "_id": 1}], "ok": 1})
    assert (result.upserted_ids, result.matched_count, part.changed(result)) == ({0: 1}, 0, True)
    assert not part.missed(result) and part.missed(part.result({"n": 0, "nModified": 0, "ok": 1}))


def test_counts_and_values(driver: Driver) -> None:
    count = CountDocumentsOp(driver, {})
    assert count.result({"cursor": {"firstBatch": [{"_id": 1, "n": 3}], "id": 0}, "ok": 1}) == 3
    assert count.result({"cursor": {"firstBatch": [], "id": 0}, "ok": 1}) == 0
    assert count.result({"ok": 0, "code": 26, "errmsg": "ns not found"}) == 0
    popped = FindOneAndUpdateOp(driver, {}, SET)
    assert popped.result({"value": {"_id": 1}, "ok": 1}) == {"_id": 1} and popped.changed({"_id": 1})
    assert popped.result({"value": None, "ok": 1}) is None and not popped.changed(None)
    deleted = DeleteOneOp(driver, {"_id": 1})
    assert deleted.result({"n": 1, "ok": 1}).deleted_count == 1
    assert not deleted.changed(deleted.result({"n": 0, "ok": 1}))
    assert deleted.missed(deleted.result({"n": 0, "ok": 1})) and not deleted.missed(deleted.result({"n": 1, "ok": 1}))


def test_what_is_not_acknowledged_tells_nothing() -> None:
    driver = driver_with(write_concern=WriteConcern(w=0))
    insert = InsertOneOp(driver, {"_id": 1})
    assert not insert.acknowledged
    assert not insert.result({"writeErrors": [DUPLICATE], "ok": 1}).acknowledged
    for op in (UpdateOneOp(driver, {}, SET), DeleteOneOp(driver, {}), bulk_parts(driver, [InsertOne({})])[0]):
        result: Any = op.result({"n": 1, "ok": 1})
        assert not result.acknowledged
        assert op.changed(result) and op.observed(result) is None
