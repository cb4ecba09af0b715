"""Byte keys: their order is BSON's, equal values share one, and each decodes to a value equal to its own."""

from __future__ import annotations

import struct
from typing import Any
from uuid import uuid4

import pytest
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.keys import TAG_NUMBER, TAG_OBJECT_ID, TAG_STRING, decode, encode, invert, key_of
from shadow_adapters.bson.order import compare
from shadow_adapters.failures import CommandFailure
from tests.unit.bson_values import NUMBERS, VALUES, reference_compare


def _sign(left: bytes, right: bytes) -> int:
    return (left > right) - (left < right)


@given(VALUES, VALUES)
def test_key_order_is_bson_order(a: Any, b: Any) -> None:
    assert _sign(encode(a), encode(b)) == compare(a, b) == reference_compare(a, b)


@given(NUMBERS, NUMBERS)
def test_numbers_of_all_types_share_one_order(a: Any, b: Any) -> None:
    assert compare(a, b) == reference_compare(a, b)


@given(VALUES)
def test_a_key_decodes_to_an_equal_value(value: Any) -> None:
    decoded = decode(encode(value))
    assert encode(decoded) == encode(value)
    assert reference_compare(decoded, value) == 0


@given(VALUES, VALUES, VALUES, VALUES)
def test_compound_keys_compare_field_by_field(a: Any, b: Any, c: Any, d: Any) -> None:
    ascending = compare(a, c) or compare(b, d)
    assert _sign(encode(a) + encode(b), encode(c) + encode(d)) == ascending
    mixed = -compare(a, c) or compare(b, d)
    assert _sign(invert(encode(a)) + encode(b), invert(encode(c)) + encode(d)) == mixed


@given(VALUES)
def test_inverting_twice_gives_the_key_back(value: Any) -> None:
    assert invert(invert(encode(value))) == encode(value)


@given(st.integers(-(2**53), 2**53))
def test_integers_have_the_form_that_sql_computes(value: int) -> None:
    raw = struct.pack(">d", value)
    flipped = bytes(255 - byte for byte in raw) if value < 0 else bytes([raw[0] ^ 0x80]) + raw[1:]
    assert encode(value) == bytes([TAG_NUMBER]) + flipped + b"\0"


def test_text_and_object_ids_have_the_form_that_sql_computes() -> None:
    assert encode("né") == bytes([TAG_STRING]) + "né".encode() + b"\0"
    oid = ObjectId()
    assert encode(oid) == bytes([TAG_OBJECT_ID]) + oid.binary


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        pytest.param(1, Decimal128("1.00"), True, id="10"),
        pytest.param(1, 1.0, True, id="10-double"),
        pytest.param(1, Int64(1), True, id="10-long"),
        pytest.param(1, True, False, id="10-bool"),
        pytest.param(1, "1", False, id="10-string"),
        pytest.param(Decimal128("0.1"), 0.1, False, id="11"),
        pytest.param(Int64(2**53 + 1), 2.0**53, False, id="12"),
        pytest.param(float("nan"), Decimal128("NaN"), True, id="14"),
        pytest.param(-0.0, 0, True, id="16"),
        pytest.param(-0.0, Decimal128("-0"), True, id="16-decimal"),
    ],
)
def test_equality(a: Any, b: Any, equal: bool) -> None:
    assert (key_of(a) == key_of(b)) is equal


@pytest.mark.parametrize("value", [[1], (1,), Regex("a")])
def test_what_mongodb_refuses_as_id_has_no_key(value: Any) -> None:
    with pytest.raises(CommandFailure) as caught:
        key_of(value)
    assert caught.value.code == 2


def test_what_bson_cannot_hold_is_refused_by_type() -> None:
    with pytest.raises(InvalidDocument, match="UUID"):
        encode({"a": uuid4()})


@pytest.mark.parametrize(
    "key", [b"", b"\x01", encode("a")[:-1], encode("a") + b"\0", encode(b"abc")[:-1], encode(1)[:5]]
)
def test_other_bytes_are_no_key(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"not .*byte key"):
        decode(key)


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="zero byte"):
        encode({"a\0": 1})


def test_51_types_in_order() -> None:
    ordered = [MinKey(), None, 5, "a", {"a": 1}, [1], b"x", ObjectId(), False, True, Regex("a"), MaxKey()]
    keys = [encode(value) for value in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
