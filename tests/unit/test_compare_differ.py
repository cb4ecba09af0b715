"""What two answers must agree on, and how a disagreement is named."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from shadow.compare.differ import difference
from shadow.compare.kinds import QUERY, RECORD, RESULT, Call, Shape
from shadow_adapters.bson.codec import encode
from shadow_adapters.failures import CommandFailure, Refused

SORTED = Call(Shape.DOCUMENTS, sort=(("n", 1),))
LIMITED = Call(Shape.DOCUMENTS, chosen=True)
TOP = Call(Shape.DOCUMENTS, sort=(("n", 1),), chosen=True)
COLLATED = Call(Shape.DOCUMENTS, sort=(("n", 1),), collation={"locale": "en", "strength": 2})
ANY_ONE = Call(Shape.DOCUMENT, chosen=True)

OID = ObjectId("65a000000000000000000001")


def found(call: Call, authority: Any, follower: Any) -> tuple[str, str] | None:
    difference_found = difference(call, authority, follower)
    return (difference_found.kind.value, difference_found.path) if difference_found else None


class UniqueViolation(Exception):
    """As PostgreSQL's driver raises it."""

    sqlstate = "23505"


@pytest.mark.parametrize(
    ("authority", "follower", "expected"),
    [
        ({"_id": 1, "a": 1}, {"_id": 1, "a": 1}, None),
        (None, None, None),
        ({"_id": 1}, None, ("missing", "")),
        (None, {"_id": 1}, ("extra", "")),
        ({"a": {"b": 1}}, {"a": {}}, ("missing", "a.b")),
        ({"a": {}}, {"a": {"b": None}}, ("extra", "a.b")),
        ({"a": [1, 2]}, {"a": [1]}, ("missing", "a[1]")),
        ({"a": [1]}, {"a": [1, 2]}, ("extra", "a[1]")),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("value", "a[0].b")),
        ({"a": 1}, {"a": 1.0}, ("type", "a")),
        ({"a": 1}, {"a": Int64(1)}, ("type", "a")),
        ({"a": 1}, {"a": True}, ("type", "a")),
        ({"a": 1.0}, {"a": Decimal128("1.0")}, ("type", "a")),
        ({"a": None}, {"a": {}}, ("type", "a")),
        ({"a": str(OID)}, {"a": OID}, ("type", "a")),
        ({"a": Decimal128("1.0")}, {"a": Decimal128("1.00")}, ("value", "a")),
        ({"a": 0.0}, {"a": -0.0}, ("value", "a")),
        ({"a": float("nan")}, {"a": float("nan")}, None),
        ({"a": Binary(b"x", 0)}, {"a": Binary(b"x", 5)}, ("value", "a")),
        ({"a": DatetimeMS(1)}, {"a": DatetimeMS(2)}, ("value", "a")),
        ({"a": Regex("x", "i")}, {"a": Regex("x")}, ("value", "a")),
        ({"a": Timestamp(1, 1)}, {"a": Timestamp(1, 2)}, ("value", "a")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ("order", "")),
        ({"c": {"a": 1, "b": 2}}, {"c": {"b": 2, "a": 1}}, ("order", "c")),
        ({"a": 1, "b": 2}, {"b": 3, "a": 1}, ("value", "b")),
    ],
)
def test_documents(authority: Any, follower: Any, expected: Any) -> None:
    assert found(RECORD, authority, follower) == expected


@pytest.mark.parametrize(
    ("call", "authority", "follower", "expected"),
    [
        (QUERY, [{"_id": 1}, {"_id": 2}], [{"_id": 2}, {"_id": 1}], None),
        (QUERY, [{"_id": 1}, {"_id": 2}], [{"_id": 2}], ("missing", "[]")),
        (QUERY, [{"_id": 2}], [{"_id": 1}, {"_id": 2}], ("extra", "[]")),
        (QUERY, [{"_id": 1, "a": 1}, {"_id": 2}], [{"_id": 2}, {"_id": 1, "a": 2}], ("value", "[].a")),
        (QUERY, [{"_id": 1}], [{"_id": 1.0}], ("type", "[]._id")),
        (QUERY, [{"a": 1}, {"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}, {"a": 2}], ("value", "[].a")),
        (QUERY, [{"a": 1}, {"a": 1}], [{"a": 1}], ("missing", "[]")),
        (SORTED, [{"_id": 1, "n": 1}, {"_id": 2, "n": 2}], [{"_id": 2, "n": 2}, {"_id": 1, "n": 1}], ("order", "[0]")),
        (SORTED, [{"_id": 1, "n": 1}, {"_id": 2, "n": 1}], [{"_id": 2, "n": 1}, {"_id": 1, "n": 1}], None),
        (SORTED, [{"_id": 1, "n": 1}, {"_id": 2, "n": 2}], [{"_id": 1, "n": 1}, {"_id": 2, "n": 3}], ("value", "[].n")),
        (LIMITED, [{"_id": 1}], [{"_id": 2}], None),
        (LIMITED, [{"_id": 1, "a": 1}, {"_id": 2}], [{"_id": 3}, {"_id": 1, "a": 2}], ("value", "[].a")),
        (LIMITED, [{"_id": 1}, {"_id": 2}], [{"_id": 3}], ("missing", "[]")),
        (LIMITED, [{"a": 1}], [{"a": 2}], None),
        (TOP, [{"_id": 1, "n": 1}, {"_id": 2, "n": 5}], [{"_id": 1, "n": 1}, {"_id": 3, "n": 5}], None),
        (TOP, [{"_id": 1, "n": 1}, {"_id": 2, "n": 5}], [{"_id": 1, "n": 1}, {"_id": 3, "n": 6}], ("order", "[1]")),
        (COLLATED, [{"_id": 1, "n": "a"}, {"_id": 2, "n": "A"}], [{"_id": 2, "n": "A"}, {"_id": 1, "n": "a"}], None),
        (
            COLLATED,
            [{"_id": 1, "n": "a"}, {"_id": 2, "n": "B"}],
            [{"_id": 2, "n": "B"}, {"_id": 1, "n": "a"}],
            ("order", "[0]"),
        ),
        (ANY_ONE, {"_id": 1}, {"_id": 2}, None),
        (ANY_ONE, {"_id": 1, "a": 1}, {"_id": 1, "a": 2}, ("value", "[].a")),
        (ANY_ONE, {"_id": 1}, None, ("missing", "[]")),
        (RESULT, 3, 3, None),
        (RESULT, 3, 4, ("result", "")),
        (RESULT, {"n": 1, "nModified": 1}, {"n": 1, "nModified": 0}, ("result", "nModified")),
    ],
)
def test_queries_and_results(call: Call, authority: Any, follower: Any, expected: Any) -> None:
    assert found(call, authority, follower) == expected


@pytest.mark.parametrize(
    ("authority", "follower", "expected"),
    [
        (DuplicateKeyError("E11000", 11000), UniqueViolation(), None),
        (DuplicateKeyError("E11000", 11000), Refused("x", kind="unique"), None),
        (DuplicateKeyError("E11000", 11001), CommandFailure(11000, "E11000"), None),
        (OperationFailure("a", 121), Refused("b", kind="length"), None),
        (OperationFailure("one wording", 2), CommandFailure(2, "another"), None),
        (OperationFailure("a", 2), OperationFailure("a", 9), ("error", "")),
        (OperationFailure("a", 2), None, ("error", "")),
        ({"_id": 1}, OperationFailure("a", 2), ("error", "")),
        (
            BulkWriteError({"writeErrors": [{"index": 3, "code": 11000}]}),
            BulkWriteError({"writeErrors": [{"index": 3, "code": 11000, "errmsg": "x"}]}),
            None,
        ),
        (
            BulkWriteError({"writeErrors": [{"index": 3, "code": 11000}]}),
            BulkWriteError({"writeErrors": [{"index": 2, "code": 11000}]}),
            ("error", ""),
        ),
    ],
)
def test_errors(authority: Any, follower: Any, expected: Any) -> None:
    assert found(RECORD, authority, follower) == expected


def test_the_record_that_differs_is_named() -> None:
    by_query = difference(QUERY, [{"_id": 1}, {"_id": OID, "a": 1}], [{"_id": 1}, {"_id": OID, "a": 2}])
    without = difference(QUERY, [{"a": 1}], [{"a": 2}])
    assert by_query is not None and by_query.has_id and by_query.id == OID
    assert without is not None and not without.has_id


def test_it_prints_itself_redacted_and_shows_when_asked() -> None:
    shown = difference(RECORD, {"_id": 7, "secret": "hunter2", "n": 1}, {"_id": 7, "secret": "hunter3", "n": Int64(1)})
    assert shown is not None
    assert "hunter" not in str(shown) and "hunter" not in repr(shown)
    assert str(shown).startswith("mismatch: value at secret")
    assert "secret: string:" in shown.explanation and "n: int:" in shown.explanation
    clear = shown.show(revealed=True)
    assert "secret: string:'hunter2' -> string:'hunter3'" in clear and "n: int:1 -> long:1" in clear


def test_field_order_is_explained() -> None:
    shown = difference(RECORD, {"c": {"a": 1, "b": 2}}, {"c": {"b": 2, "a": 1}})
    assert shown is not None and shown.explanation == "c: fields a, b -> b, a"


def test_field_names_that_look_private_are_explained() -> None:
    shown = difference(RECORD, {"__v": 1}, {"__v": 2})
    assert shown is not None and shown.explanation.startswith("__v: int:")


def test_a_long_explanation_is_cut() -> None:
    shown = difference(RECORD, {f"f{i}": i for i in range(100)}, {f"f{i}": -i - 1 for i in range(100)})
    assert shown is not None
    assert len(shown.explanation.splitlines()) == 21 and shown.explanation.endswith("... and 80 more")


def test_what_is_too_large_is_not_explained() -> None:
    large = {"a": [str(i) for i in range(50_000)]}
    shown = difference(RECORD, large, {**large, "b": 1})
    assert shown is not None and shown.explanation == "b: the first of the differences, too large to explain further"


def test_an_error_is_shown_without_its_text() -> None:
    shown = difference(RECORD, DuplicateKeyError("dup key: { email: 'a@b.c' }", 11000), {"_id": 1})
    assert shown is not None
    assert "a@b.c" not in shown.show(revealed=True) and "DuplicateKeyError(11000)" in str(shown)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-5, 5).map(Int64),
    st.floats(width=16),
    st.text(max_size=3),
)
names = st.text("ab.", min_size=1, max_size=2)
values = st.recursive(leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(names, v, max_size=3), max_leaves=8)
documents = st.dictionaries(names, values, max_size=3)


@settings(deadline=None)
@given(documents, documents)
def test_whatever_differs_in_bytes_is_found_and_explained(authority: dict[str, Any], follower: dict[str, Any]) -> None:
    there = difference(RECORD, authority, follower)
    assert (there is None) == (encode(authority) == encode(follower))
    assert there is None or there.explanation


@settings(deadline=None)
@given(st.lists(documents, max_size=5), st.randoms())
def test_without_a_sort_any_order_is_the_same_answer(answer: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(answer)
    random.shuffle(shuffled)
    assert difference(QUERY, answer, shuffled) is None


@settings(deadline=None)
@given(st.lists(documents, min_size=1, max_size=5), documents)
def test_a_lost_document_is_found(answer: list[dict[str, Any]], planted: dict[str, Any]) -> None:
    assert found(QUERY, [*answer, planted], answer) is not None
    assert found(QUERY, answer, [planted, *answer]) is not None
