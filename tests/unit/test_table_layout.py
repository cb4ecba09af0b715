"""A document split into columns and a rest, and joined again, is the same record to the byte."""

from __future__ import annotations

import json
import re
import struct
from decimal import Decimal
from typing import Any

import pytest
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow_adapters.bson.codec import decode, encode
from shadow_adapters.postgres.layouts import embedding
from shadow_adapters.postgres.layouts.columns import Codec, codec_of
from shadow_adapters.postgres.layouts.extended import from_extended, to_extended
from shadow_adapters.postgres.layouts.jsonb import name_order
from shadow_adapters.postgres.layouts.rest import join, split, tree_of

COLUMNS = {
    "_id": "uuid",
    "name": "character varying(255)",
    "level": "integer",
    "big": "bigint",
    "ratio": "double precision",
    "price": "numeric",
    "active": "boolean",
    "meta.created": "timestamp without time zone",
    "meta.by.agent": "uuid",
    "config": "jsonb",
    "tags": "text[]",
    "raw": "bytea",
}
TREE = tree_of(list(COLUMNS))
CODECS: list[Codec] = [codec for kind in COLUMNS.values() if (codec := codec_of(kind)) is not None]

names = st.one_of(
    st.sampled_from(["a", "b", "aa", "$a", "$order", "$fields", "$doc", "order", "a.b", "", "é", "meta", "by"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.integers(-5, 5).map(Int64),
    st.floats(),
    st.integers(-1000, 1000).map(float),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.binary(max_size=8),
    st.tuples(st.binary(min_size=16, max_size=16), st.sampled_from([3, 4, 5, 128])).map(lambda t: Binary(*t)),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.integers(0, 2**41).map(DatetimeMS),
    st.binary(min_size=16, max_size=16).map(Decimal128.from_bid),
    st.decimals(places=2, min_value=-1000, max_value=1000).map(Decimal128),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(lambda t: Timestamp(*t)),
    st.sampled_from([MinKey(), MaxKey(), Regex("^a", "ix"), Code("f()"), Code("g()", {"b": 1, "a": 2})]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
fields = st.one_of(names, st.sampled_from([path.partition(".")[0] for path in COLUMNS]))
metas = st.one_of(
    values,
    st.dictionaries(
        st.sampled_from(["created", "by", "x"]),
        st.one_of(values, st.dictionaries(st.sampled_from(["agent", "y"]), values, max_size=2)),
        max_size=3,
    ),
)
ids = st.binary(min_size=12, max_size=12).map(ObjectId)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents whose fields are mapped, half mapped and not mapped, in any order."""
    document = {"_id": draw(ids), **draw(st.dictionaries(fields, values, max_size=6))}
    if draw(st.booleans()):
        document["meta"] = draw(metas)
    for name in draw(st.lists(st.sampled_from(["name", "level", "ratio", "price", "config", "tags"]), unique=True)):
        document[name] = draw(values)
    order = draw(st.permutations(list(document))) if draw(st.booleans()) else list(document)
    return {name: document[name] for name in order}


def through_json(rest: dict[str, Any]) -> dict[str, Any]:
    """The rest as jsonb gives it back: objects in jsonb's order."""

    def ordered(tree: Any) -> Any:
        if isinstance(tree, list):
            return [ordered(element) for element in tree]
        if isinstance(tree, dict):
            return {name: ordered(tree[name]) for name in sorted(tree, key=name_order)}
        assert not (isinstance(tree, str) and "\0" in tree), "jsonb refuses U+0000"
        assert not (isinstance(tree, float) and tree != tree), "jsonb refuses NaN"
        return tree

    found: dict[str, Any] = ordered(json.loads(json.dumps(rest, allow_nan=False)))
    return found


def as_jsonb(text: str) -> str:
    """What jsonb makes of a JSON text: numbers without exponents, no negative zero, fields in its order."""

    def number(digits: str) -> str:
        value = Decimal(digits)
        return "\0" + format(abs(value) if value == 0 else value, "f") + "\0"

    tree = through_json({"v": json.loads(text)})["v"] if "\0" not in text else None
    marked = json.dumps(json.loads(json.dumps(tree), parse_int=number, parse_float=number))
    return re.sub(r'"\\u0000([^"]*)\\u0000"', r"\1", marked)


def through_columns(columns: list[Any]) -> list[Any]:
    """The columns' values as PostgreSQL gives them back."""
    config = list(COLUMNS).index("config")
    return [as_jsonb(held) if i == config and held is not None else held for i, held in enumerate(columns)]


@settings(max_examples=200, deadline=None)
@given(documents())
def test_round_trip_is_identical(document: dict[str, Any]) -> None:
    record = encode(document)
    columns, rest = split(decode(record), TREE, CODECS)
    columns = through_columns(columns)
    assert encode(join(columns, through_json(rest), TREE, CODECS)) == record


@settings(max_examples=200, deadline=None)
@given(values)
def test_extended_json_is_exact(value: Any) -> None:
    record = encode({"v": value})
    tree = through_json({"v": to_extended(decode(record)["v"])})["v"]
    assert encode({"v": from_extended(tree)}) == record


def test_nothing_is_left_over_from_what_columns_hold() -> None:
    document = decode(
        encode(
            {
                "_id": ObjectId(),
                "name": "x",
                "level": 3,
                "big": Int64(2**40),
                "ratio": 0.5,
                "price": Decimal128("1.50"),
                "active": True,
                "meta": {"created": DatetimeMS(1), "by": {"agent": ObjectId()}},
                "config": {"a": [1, 2.5, None, {"b": "c"}], "bb": True},
                "tags": ["a", 'b"\\,{}'],
                "raw": b"\0\xff",
            }
        )
    )
    columns, rest = split(document, TREE, CODECS)
    assert rest == {}
    assert None not in columns


@pytest.mark.parametrize(
    ("field", "value", "held"),
    [
        ("level", 5.0, 5),
        ("level", Int64(5), 5),
        ("level", 2**40, None),
        ("level", "5", None),
        ("name", "a\0b", None),
        ("name", None, None),
        ("ratio", 5, 5.0),
        ("config", {"b": 1, "a": 2}, '{"b":1,"a":2}'),
        ("config", {"d": DatetimeMS(0)}, '{"d":"1970-01-01T00:00:00.000+00:00"}'),
        ("config", float("nan"), "null"),
        ("tags", ["a", 1], None),
    ],
)
def test_what_a_column_forgets_is_in_the_rest(field: str, value: Any, held: Any) -> None:
    columns, rest = split({"_id": ObjectId(), field: value}, TREE, CODECS)
    assert columns[list(COLUMNS).index(field)] == held
    assert list(rest) == [field]


@pytest.mark.parametrize(
    ("before", "changed", "after"),
    [
        ({"level": 5.0}, {"level": 6}, {"level": 6}),
        ({"level": 5.0}, {"level": None}, {}),
        ({"name": None}, {"name": "x"}, {"name": "x"}),
        ({"name": "a\0b"}, {"name": "x"}, {"name": "x"}),
        ({"config": {"b": 1, "a": 2}}, {"config": '{"a": 2, "b": 7}'}, {"config": {"a": 2, "b": 7}}),
        ({"config": {"b": 1, "a": 2}}, {"config": '{"a": 2.0, "b": 1}'}, {"config": {"b": 1, "a": 2}}),
        ({"meta": 5}, {"meta.created": 0}, {"meta": {"created": DatetimeMS(0)}}),
    ],
)
def test_a_column_that_sql_changed_wins(before: dict[str, Any], changed: dict[str, Any], after: dict[str, Any]) -> None:
    id = ObjectId()
    columns, rest = split({"_id": id, **before}, TREE, CODECS)
    for path, value in changed.items():
        position = list(COLUMNS).index(path)
        columns[position] = CODECS[position].put(DatetimeMS(0))[0] if value == 0 else value
    assert join(columns, through_json(rest), TREE, CODECS) == {"_id": id, **after}


@given(ids, ids)
def test_the_embedding_keeps_order_and_comes_back(one: ObjectId, other: ObjectId) -> None:
    a, b = embedding.to_uuid(one), embedding.to_uuid(other)
    assert (a < b) == (one < other)
    assert embedding.from_uuid(a) == one
    assert a.version == 8


def test_an_uuid_of_the_application_is_no_object_id() -> None:
    embedded = embedding.to_uuid(ObjectId()).bytes
    for position in (6, 8, 13, 15):
        altered = bytearray(embedded)
        altered[position] ^= 0x40
        assert embedding.from_uuid(type(embedding.to_uuid(ObjectId()))(bytes=bytes(altered))) is None


def test_a_mapping_that_contradicts_itself_is_refused() -> None:
    for paths in (["a", "a.b"], ["a.b", "a"]):
        with pytest.raises(ValueError, match="lies in"):
            tree_of(paths)


def test_a_nan_with_a_payload_survives() -> None:
    odd = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    record = encode({"v": [odd]})
    assert encode({"v": from_extended(to_extended(decode(record)["v"]))}) == record
