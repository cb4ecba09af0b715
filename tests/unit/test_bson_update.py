"""Updates applied in memory: one case for each numbered rule of MongoDB's operators."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.codec import encode
from shadow_adapters.bson.update import apply_update, check_update, upsert_seed
from shadow_adapters.failures import CommandFailure
from tests.unit.bson_values import VALUES

NOW = DatetimeMS(1_700_000_000_123)

CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("60", {"a": 2**31 - 1}, {"$inc": {"a": 1}}, {"a": Int64(2**31)}),
    ("60-long", {"a": Int64(1)}, {"$inc": {"a": 1}}, {"a": Int64(2)}),
    ("60-double", {"a": 1}, {"$inc": {"a": 0.5}}, {"a": 1.5}),
    ("61-missing", {}, {"$inc": {"a.b": 5}}, {"a": {"b": 5}}),
    ("62", {}, {"$mul": {"a": 5}}, {"a": 0}),
    ("62-double", {}, {"$mul": {"a": 2.5}}, {"a": 0.0}),
    ("62-long", {}, {"$mul": {"a": Int64(2)}}, {"a": Int64(0)}),
    ("62-decimal", {}, {"$mul": {"a": Decimal128("2.5")}}, {"a": Decimal128("0.0")}),
    ("mul", {"a": 2**20}, {"$mul": {"a": 2**20}}, {"a": Int64(2**40)}),
    ("63", {}, {"$set": {"a.0": 1}}, {"a": {"0": 1}}),
    ("64", {"a": [1]}, {"$set": {"a.3": 9}}, {"a": [1, None, None, 9]}),
    ("68", {"a": [1, 2, 3]}, {"$unset": {"a.1": 1}}, {"a": [1, None, 3]}),
    ("68-missing", {"a": [1], "c": 5}, {"$unset": {"b": 1, "a.7": 1, "a.x": 1, "c.d": 1}}, {"a": [1], "c": 5}),
    ("69", {}, {"$set": {"z": 1, "b": 2}}, {"b": 2, "z": 1}),
    ("69-operators", {"q": 1}, {"$set": {"z": 1}, "$inc": {"b": 2}}, {"q": 1, "b": 2, "z": 1}),
    ("69-indexes", {}, {"$set": {"a.10": 1, "a.9": 2}}, {"a": {"9": 2, "10": 1}}),
    ("69-in-place", {"b": 1, "a": 1}, {"$set": {"a": 2, "b": 2}}, {"b": 2, "a": 2}),
    ("70-max", {"a": 5}, {"$max": {"a": "x"}}, {"a": "x"}),
    ("70-min", {"a": 5}, {"$min": {"a": None}}, {"a": None}),
    ("70-equal", {"a": 5}, {"$min": {"a": 5.0}, "$max": {"b": 1}}, {"a": 5, "b": 1}),
    ("bit", {"a": 13}, {"$bit": {"a": {"and": 10, "or": 1}}}, {"a": 9}),
    ("bit-missing", {}, {"$bit": {"a": {"xor": 5}}}, {"a": 5}),
    ("bit-long", {"a": 1}, {"$bit": {"a": {"or": Int64(2)}}}, {"a": Int64(3)}),
    ("bit-negative", {"a": -1}, {"$bit": {"a": {"and": 2**31 - 1}}}, {"a": 2**31 - 1}),
    ("push", {"a": [1]}, {"$push": {"a": [2]}}, {"a": [1, [2]]}),
    ("push-missing", {}, {"$push": {"a.b": 1}}, {"a": {"b": [1]}}),
    ("push-position", {"a": [1, 4]}, {"$push": {"a": {"$each": [2, 3], "$position": 1}}}, {"a": [1, 2, 3, 4]}),
    ("push-position-end", {"a": [1, 4]}, {"$push": {"a": {"$each": [2], "$position": -1}}}, {"a": [1, 2, 4]}),
    ("72", {"a": [3, 1]}, {"$push": {"a": {"$each": [2], "$sort": 1, "$slice": -2}}}, {"a": [2, 3]}),
    ("72-slice", {"a": [3, 1]}, {"$push": {"a": {"$each": [2], "$slice": 2}}}, {"a": [3, 1]}),
    ("72-empty", {"a": [3, 1]}, {"$push": {"a": {"$each": [], "$slice": 0}}}, {"a": []}),
    (
        "72-fields",
        {"a": [{"s": 1, "t": 1}, {"s": 2}, {"s": 1, "t": 2}]},
        {"$push": {"a": {"$each": [], "$sort": {"s": -1, "t": 1}}}},
        {"a": [{"s": 2}, {"s": 1, "t": 1}, {"s": 1, "t": 2}]},
    ),
    (
        "73",
        {"a": [{"x": 1, "y": 2}]},
        {"$addToSet": {"a": {"y": 2, "x": 1}}},
        {"a": [{"x": 1, "y": 2}, {"y": 2, "x": 1}]},
    ),
    ("73-number", {"a": [1]}, {"$addToSet": {"a": 1.0}}, {"a": [1]}),
    ("73-each", {}, {"$addToSet": {"a": {"$each": [1, 1.0, 2]}}}, {"a": [1, 2]}),
    ("74", {"a": [{"x": 1, "y": 2}, {"x": 2}, 1]}, {"$pull": {"a": {"x": 1}}}, {"a": [{"x": 2}, 1]}),
    ("74-operators", {"a": [1, 5, 9, "x"]}, {"$pull": {"a": {"$gte": 5}}}, {"a": [1, "x"]}),
    ("74-value", {"a": [1, 1.0, 2, [1]]}, {"$pull": {"a": 1}}, {"a": [2, [1]]}),
    ("74-regex", {"a": ["ab", "b", 1]}, {"$pull": {"a": Regex("^a")}}, {"a": ["b", 1]}),
    ("74-or", {"a": [{"x": 1}, {"y": 1}, 3]}, {"$pull": {"a": {"$or": [{"x": 1}, {"y": 1}]}}}, {"a": [3]}),
    ("74-all", {"a": [{"x": 1, "y": 2}, {"x": 1}, 2]}, {"$pullAll": {"a": [{"x": 1}, 2.0]}}, {"a": [{"x": 1, "y": 2}]}),
    ("74-missing", {"b": 5}, {"$pull": {"a": 1}, "$pullAll": {"c": [1]}, "$pop": {"b.x": 1}}, {"b": 5}),
    ("75", {"a": 1, "b": 2}, {"$rename": {"a": "c"}}, {"b": 2, "c": 1}),
    ("75-missing", {"b": 2}, {"$rename": {"a": "c"}}, {"b": 2}),
    ("75-missing-element", {"a": [1]}, {"$rename": {"a.3": "c", "b.x": "d"}}, {"a": [1]}),
    ("75-over", {"a": 1, "c": 2, "d": 3}, {"$rename": {"a": "c"}}, {"c": 1, "d": 3}),
    ("75-nested", {"a": {"x": 1}}, {"$rename": {"a.x": "b.y"}}, {"a": {}, "b": {"y": 1}}),
    ("pop", {"a": [1, 2, 3]}, {"$pop": {"a": 1}}, {"a": [1, 2]}),
    ("pop-first", {"a": [1, 2, 3]}, {"$pop": {"a": -1}}, {"a": [2, 3]}),
    ("pop-empty", {"a": []}, {"$pop": {"a": 1}}, {"a": []}),
    ("77", {"_id": 1, "a": 5}, {"b": 2}, {"_id": 1, "b": 2}),
    ("77-id", {"_id": 1, "a": 5}, {"b": 2, "_id": 1}, {"_id": 1, "b": 2}),
    ("77-empty", {"_id": 1, "a": 5}, {}, {"_id": 1}),
    ("79", {"a": 1}, [{"$set": {"b": {"$add": ["$a", 1]}}}], {"a": 1, "b": 2}),
    ("79-stages", {"_id": 1, "a": 1}, [{"$addFields": {"b.c": "$a"}}, {"$unset": "a"}], {"_id": 1, "b": {"c": 1}}),
    ("79-project", {"_id": 1, "a": 1, "b": 2}, [{"$project": {"_id": 0, "b": 1}}], {"_id": 1, "b": 2}),
    ("79-replaced", {"_id": 1, "a": {"x": 5}}, [{"$replaceRoot": {"newRoot": "$a"}}], {"_id": 1, "x": 5}),
    ("79-same-id", {"_id": 1, "a": 1}, [{"$replaceWith": {"b": "$a", "_id": 1.0}}], {"_id": 1.0, "b": 1}),
    ("79-now", {}, [{"$set": {"a": "$$NOW"}}], {"a": NOW}),
    ("79-removed", {"a": 1, "b": 2}, [{"$set": {"a": "$$REMOVE"}}], {"b": 2}),
    ("79-nothing", {"a": 1}, [], {"a": 1}),
    ("80", {"a": Decimal128("0.1")}, {"$inc": {"a": 0.2}}, {"a": Decimal128("0.300000000000000")}),
    ("80-one", {"a": Decimal128("1")}, {"$mul": {"a": 1.0}}, {"a": Decimal128("1.00000000000000")}),
    ("80-carry", {"a": Decimal128("0")}, {"$inc": {"a": 0.99999999999999999}}, {"a": Decimal128("1.00000000000000")}),
    ("80-int", {"a": Decimal128("0.1")}, {"$inc": {"a": 1}}, {"a": Decimal128("1.1")}),
    ("date", {}, {"$currentDate": {"a": True, "b": {"$type": "date"}}}, {"a": NOW, "b": NOW}),
    ("timestamp", {}, {"$currentDate": {"a": {"$type": "timestamp"}}}, {"a": Timestamp(1_700_000_000, 1)}),
    ("set-on-insert", {"a": 1}, {"$setOnInsert": {"b": 1}}, {"a": 1}),
    ("empty-operator", {"a": 1}, {"$set": {}}, {"a": 1}),
    ("same-id", {"_id": 1, "a": 1}, {"$set": {"_id": 1, "a": 2}}, {"_id": 1, "a": 2}),
    ("element", {"a": [{"b": 1}, {"b": 2}]}, {"$set": {"a.1.b": 9}}, {"a": [{"b": 1}, {"b": 9}]}),
]


@pytest.mark.parametrize(("document", "update", "result"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_case(document: dict[str, Any], update: dict[str, Any], result: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    after = apply_update(document, update, inserting=False, now=NOW)
    assert encode(after) == encode(result)  # bytes: types and the order of fields count
    assert encode(document) == encode(before)


REFUSED: list[tuple[str, dict[str, Any], Any, int, str | None]] = [
    ("61", {"a": None}, {"$inc": {"a": 1}}, 14, None),
    ("inc-argument", {}, {"$inc": {"a": "x"}}, 14, None),
    ("inc-bool", {"a": True}, {"$inc": {"a": 1}}, 14, None),
    ("inc-overflow", {"a": Int64(2**63 - 1)}, {"$inc": {"a": 1}}, 2, None),
    ("65", {"a": 5}, {"$set": {"a.b": 1}}, 28, None),
    ("65-null", {"a": None}, {"$inc": {"a.b": 1}}, 28, None),
    ("65-array", {"a": [{"b": 1}]}, {"$set": {"a.b": 1}}, 28, None),
    ("64-far", {"a": [1]}, {"$set": {"a.1600000": 1}}, 2, None),
    ("66", {"_id": 1}, {"$set": {"_id": 2}}, 66, None),
    ("66-unset", {"_id": 1}, {"$unset": {"_id": 1}}, 66, None),
    ("66-inside", {"_id": {"x": 1}}, {"$set": {"_id.x": 2}}, 66, None),
    ("66-rename", {"_id": 1, "a": 2}, {"$rename": {"a": "_id"}}, 66, None),
    ("66-replacement", {"_id": 1}, {"_id": 2}, 66, None),
    ("id-array", {}, {"$set": {"_id": [1]}}, 53, None),
    ("67", {}, {"$set": {"a": 1, "a.b": 2}}, 40, None),
    ("67-operators", {}, {"$set": {"a.b": 1}, "$inc": {"a": 2}}, 40, None),
    ("67-twice", {}, {"$set": {"a": 1}, "$unset": {"a": 2}}, 40, None),
    ("67-rename", {"a": 1}, {"$rename": {"a": "b"}, "$set": {"b": 1}}, 40, None),
    ("71", {"a": 5}, {"$push": {"a": 1}}, 2, None),
    ("push-clause", {}, {"$push": {"a": {"$each": [], "$foo": 1}}}, 2, None),
    ("push-each", {}, {"$push": {"a": {"$each": 1}}}, 2, None),
    ("push-slice", {}, {"$push": {"a": {"$each": [], "$slice": "x"}}}, 2, None),
    ("push-sort", {}, {"$push": {"a": {"$each": [], "$sort": 2}}}, 2, None),
    ("add-to-set", {"a": 5}, {"$addToSet": {"a": 1}}, 2, None),
    ("pull", {"a": 5}, {"$pull": {"a": 1}}, 2, None),
    ("pull-all", {}, {"$pullAll": {"a": 1}}, 2, None),
    ("pop", {"a": 5}, {"$pop": {"a": 1}}, 14, None),
    ("pop-argument", {}, {"$pop": {"a": 2}}, 9, None),
    ("rename-type", {}, {"$rename": {"a": 1}}, 2, None),
    ("rename-same", {}, {"$rename": {"a": "a"}}, 2, None),
    ("rename-inside", {}, {"$rename": {"a": "a.b"}}, 2, None),
    ("rename-outside", {}, {"$rename": {"a.b": "a"}}, 2, None),
    ("rename-through-scalar", {"a": None}, {"$rename": {"a.b": "c"}}, 28, None),
    ("rename-through-array", {"a": [{"b": 1}]}, {"$rename": {"a.b": "c"}}, 28, None),
    ("rename-element", {"a": [1]}, {"$rename": {"a.0": "b"}}, 2, None),
    ("rename-to-element", {"a": [1], "b": 1}, {"$rename": {"b": "a.0"}}, 2, None),
    ("date-option", {}, {"$currentDate": {"a": {"$type": "x"}}}, 2, None),
    ("76", {"a": [1]}, {"$set": {"a.$": 0}}, 2, None),
    ("76-filtered", {"a": [1]}, {"$set": {"a.$[e]": 0}}, 2, None),
    ("79", {}, [{"$match": {"b": 1}}], 72, None),
    ("79-out", {}, [{"$out": "b"}], 72, None),
    ("79-no-stage", {}, [{"$foo": 1}], 40324, None),
    ("79-two-stages", {}, [{"$set": {"a": 1}, "$unset": "b"}], 40323, None),
    ("79-no-document", {}, ["x"], 14, None),
    ("79-no-update", {}, 5, 9, None),
    ("79-text", {}, "x", 9, None),
    ("79-no-name", {}, [{"$set": {"a": "$$b"}}], 17276, None),
    ("79-id", {"_id": 1}, [{"$set": {"_id": 2}}], 66, None),
    ("79-new-root", {"_id": 1, "a": 5}, [{"$replaceWith": "$a"}], 40228, None),
    ("79-type", {"a": "x"}, [{"$set": {"b": {"$add": ["$a", 1]}}}], 14, None),
    ("unknown", {}, {"$foo": {"a": 1}}, 9, "$foo"),
    ("bit-type", {}, {"$bit": {"a": 1}}, 2, None),
    ("bit-empty", {}, {"$bit": {"a": {}}}, 2, None),
    ("bit-unknown", {}, {"$bit": {"a": {"not": 1}}}, 2, None),
    ("bit-double", {}, {"$bit": {"a": {"and": 1.0}}}, 2, None),
    ("bit-field", {"a": 1.0}, {"$bit": {"a": {"and": 1}}}, 2, None),
    ("unknown-field", {}, {"$set": {"a": 1}, "b": 1}, 9, None),
    ("no-document", {}, {"$set": 5}, 9, None),
    ("replacement", {}, {"a": 1, "$set": {}}, 52, None),
    ("empty-name", {}, {"$set": {"a..b": 1}}, 56, None),
    ("empty-path", {}, {"$set": {"": 1}}, 56, None),
    ("dollar-name", {}, {"$set": {"a.$b": 1}}, 52, None),
    ("deep-path", {}, {"$set": {".".join("a" * 101): 1}}, 15, None),
]


@pytest.mark.parametrize(
    ("document", "update", "code", "unsupported"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED]
)
def test_refused(document: dict[str, Any], update: Any, code: int, unsupported: str | None) -> None:
    before = copy.deepcopy(document)
    with pytest.raises(CommandFailure) as caught:
        apply_update(document, update, inserting=False, now=NOW)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)
    assert document == before


SEEDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("78", {"a": 1, "b.c": 2, "d": {"$gt": 3}}, {"a": 1, "b": {"c": 2}}),
    ("78-eq", {"a": {"$eq": 1}, "b": {"$in": [2]}, "c": {"$all": [3]}}, {"a": 1, "b": 2, "c": 3}),
    ("78-and", {"$and": [{"a": 1}, {"$or": [{"b": 2}]}], "$or": [{"c": 1}, {"d": 1}]}, {"a": 1, "b": 2}),
    ("78-many", {"a": {"$in": [1, 2]}, "b": {"$ne": 1}, "c": {"$exists": True}}, {}),
    ("78-regex", {"a": Regex("x"), "b": {"$in": [Regex("x")]}}, {}),
    ("78-id-first", {"a": 1, "_id": 7}, {"_id": 7, "a": 1}),
    ("78-null", {"a": None, "b": {"x": 1}}, {"a": None, "b": {"x": 1}}),
    ("78-index", {"a.0": 1}, {"a": {"0": 1}}),
]


@pytest.mark.parametrize(("filter", "seed"), [pytest.param(*case[1:], id=case[0]) for case in SEEDS])
def test_seed(filter: dict[str, Any], seed: dict[str, Any]) -> None:
    assert encode(upsert_seed(filter)) == encode(seed)


@pytest.mark.parametrize("filter", [{"a": 1, "$and": [{"a": 2}]}, {"a": {"b": 1}, "a.b": 2}, {"a": {"$all": [1, 2]}}])
def test_a_filter_that_says_two_things_of_a_field_seeds_nothing(filter: dict[str, Any]) -> None:
    with pytest.raises(CommandFailure) as caught:
        upsert_seed(filter)
    assert caught.value.code == 54


def test_an_upsert_sets_on_insert_and_puts_the_id_first() -> None:
    update = {"$set": {"b": 2}, "$setOnInsert": {"_id": 9, "c": 3}}
    assert list(apply_update({"a": 1}, update, inserting=True, now=NOW).items()) == [
        ("_id", 9),
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]


def test_a_replacement_of_an_upsert_keeps_of_the_seed_only_the_id() -> None:
    assert apply_update({"_id": 1, "a": 1}, {"b": 2}, inserting=True, now=NOW) == {"_id": 1, "b": 2}


def test_checking_tells_replacement_from_operators_and_compiles_once() -> None:
    operators, replacement = check_update({"$inc": {"a": 1}}), check_update({"a": 1})
    assert (operators.is_replacement, replacement.is_replacement) == (False, True)
    results = [apply_update({"a": number}, operators, inserting=False, now=NOW) for number in range(3)]
    assert results == [{"a": 1}, {"a": 2}, {"a": 3}]


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.sampled_from(["a", "a.b", "b.0", "c.a.b"]), VALUES)
def test_what_is_set_is_found_and_nothing_else_changes(document: dict[str, Any], path: str, value: Any) -> None:
    before = copy.deepcopy(document)
    try:
        after = apply_update(document, {"$set": {path: value}}, inserting=False, now=NOW)
    except CommandFailure as failure:
        assert failure.code == 28
        return
    found: Any = after
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    assert found is value
    root = path.partition(".")[0]
    assert [name for name in after if name != root] == [name for name in before if name != root]
    assert all(after[name] is document[name] for name in before if name != root)
    assert encode(document) == encode(before)


def test_a_pipeline_sees_the_command_s_variables_and_the_statement_s_constants() -> None:
    update = check_update([{"$set": {"a": "$$v", "b": "$$Key.x"}}], variables={"v": 1}, constants={"Key": {"x": 2}})
    assert not update.is_replacement
    assert apply_update({"_id": 1}, update, inserting=False, now=NOW) == {"_id": 1, "a": 1, "b": 2}


def test_constants_are_for_pipelines() -> None:
    for update in ({"$set": {"a": 1}}, {"a": 1}):
        with pytest.raises(CommandFailure) as caught:
            check_update(update, constants={"v": 1})
        assert caught.value.code == 51198


def test_a_pipeline_makes_the_document_of_an_upsert_from_its_seed() -> None:
    after = apply_update({"a": 1}, [{"$set": {"b": {"$add": ["$a", 1]}, "_id": 7}}], inserting=True, now=NOW)
    assert list(after.items()) == [("_id", 7), ("a", 1), ("b", 2)]
