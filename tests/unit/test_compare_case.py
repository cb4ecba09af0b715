"""Mismatches as cases: what stands in for values, and what no case is made of."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId, Regex
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS

from shadow.compare.case import Case, made
from shadow.compare.differ import difference
from shadow.compare.difference import Difference
from shadow.compare.kinds import QUERY, RECORD, Kind
from shadow.compare.standins import CannotHide, StandIns
from shadow.compare.wire import bson_type
from shadow_adapters.bson.keys import encode as order_key

VALUES: list[Any] = [
    2.5,
    3,
    Int64(3),
    Decimal128("3"),
    Int64(2**40),
    "ann",
    "bob",
    ObjectId("65a1b2c3d4e5f60718293a4b"),
    DatetimeMS(1_700_000_000_000),
    Binary(b"secret", 0),
    Binary(bytes(range(16)), 4),
    True,
    None,
]


def test_stand_ins_keep_types_order_and_equality() -> None:
    hidden = StandIns([VALUES], []).document(VALUES)
    assert [bson_type(value) for value in hidden] == [bson_type(value) for value in VALUES]
    for i, left in enumerate(VALUES):
        for j, right in enumerate(VALUES):
            if bson_type(left) == bson_type(right) or {type(left), type(right)} <= {int, float, Int64, Decimal128}:
                before, after = (order_key(left), order_key(right)), (order_key(hidden[i]), order_key(hidden[j]))
                assert (before[0] < before[1], before[0] == before[1]) == (after[0] < after[1], after[0] == after[1])
    assert not any(secret in str(hidden) for secret in ("ann", "bob", "secret", "2.5", str(2**40), "65a1", "1700"))


def test_a_filter_keeps_its_operators_and_hides_what_they_compare_with() -> None:
    filter = {"$or": [{"a": {"$gt": 17, "$exists": True}}, {"b": {"$in": ["x", "y"]}}], "c": {"$elemMatch": {"d": "x"}}}
    hidden = StandIns([], [filter]).filter(filter)
    assert hidden["$or"][0]["a"].keys() == {"$gt", "$exists"} and hidden["$or"][0]["a"]["$exists"] is True
    assert hidden["c"]["$elemMatch"]["d"] == hidden["$or"][1]["b"]["$in"][0] != hidden["$or"][1]["b"]["$in"][1]
    assert "17" not in str(hidden) and "'x'" not in str(hidden)


@pytest.mark.parametrize("filter", [{"a": Regex("^b")}, {"a": {"$regex": "^b"}}, {"$expr": {"$gt": ["$a", 1]}}])
def test_nothing_stands_in_for_what_looks_inside_values(filter: dict[str, Any]) -> None:
    with pytest.raises(CannotHide):
        StandIns([], [filter])


def case(command: dict[str, Any], legacy: Any, new: Any, *, revealed: bool = False) -> Case | None:
    found = difference(RECORD, legacy, new)
    assert found is not None
    return made("find", QUERY, command, found, [legacy], [new], "legacy", revealed=revealed)


def test_a_case_tells_no_values_and_comes_back_as_it_was() -> None:
    born = datetime.datetime(2001, 2, 3)
    command = {"find": "people", "filter": {"name": "ann", "born": {"$lt": born}}, "sort": {"name": -1}, "limit": 3}
    made_of = case(command, {"_id": "ann@b.c", "name": "ann", "n": 7}, {"_id": "ann@b.c", "name": "ann", "n": 8})
    assert made_of is not None
    text = made_of.dump()
    assert Case.load(text) == made_of
    assert not any(secret in text for secret in ("ann", "2001", "people", str(int(born.timestamp()))))
    assert (made_of.command["sort"], made_of.command["limit"]) == ({"name": -1}, 3)
    assert made_of.command["filter"]["name"] == made_of.legacy[0]["name"]
    assert made_of.legacy[0]["n"] < made_of.new[0]["n"]


def test_a_revealed_case_has_the_values_and_looks_inside() -> None:
    command = {"find": "people", "filter": {"name": {"$regex": "^a"}}, "collation": {"locale": "en"}}
    sides = {"_id": 1, "name": "ann"}, {"_id": 1, "name": "anne"}
    assert case(command, *sides) is None
    revealed = case(command, *sides, revealed=True)
    assert revealed is not None and revealed.command == {**command, "find": "case"} and revealed.new == [sides[1]]
    assert Case.load(revealed.dump()) == revealed


def test_what_no_case_is_made_of() -> None:
    sides = {"_id": 1, "n": 1}, {"_id": 1, "n": 2}
    assert case({"find": "c", "filter": {}}, *sides) is not None
    assert case({"count": "c", "query": {}}, *sides) is None
    assert case({"find": "c", "filter": {}, "projection": {"x": {"$slice": 3}}}, *sides) is None
    assert case({"find": "c", "filter": {}}, {"_id": 1, "n": float("nan")}, {"_id": 1, "n": float("inf")}) is not None
    big = {"_id": 1, "n": ["x" * 20] * 5000}
    assert case({"find": "c", "filter": {}}, big, {"_id": 1}) is None
    counts = Difference(Kind.RESULT, "", 2, 1)
    assert made("find", QUERY, {"find": "c"}, counts, [{"_id": 1}], [{"_id": 1}], "legacy", revealed=False) is None
