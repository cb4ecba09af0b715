"""BSON values for property tests, and BSON's order written a second time, straight from MongoDB's rules."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

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
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "é", "aa", "0", "1", ""])

EDGES = st.sampled_from(
    [0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**31, -(2**31) - 1]
    + [0.0, -0.0, 0.1, 5e-324, -5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 2.0**53, 2.0**63]
    + [Decimal128(text) for text in ("0.1", "-0.1", "1.00", "1E+1", "NaN", "Infinity", "-Infinity", "-0", "1E-6176")]
    + [Decimal128(text) for text in ("9007199254740993", "-9007199254740993", "1E+6144", "-1E+6000", "-1E-400")]
    + [Decimal128("0.1000000000000000055511151231257827"), Decimal128("179769313486231570000000000000000E+276")]
)
DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal128(f"{sign}{digits}E{exponent}"),
    st.sampled_from(["", "-"]),
    st.integers(0, 10**34 - 1),
    st.one_of(st.integers(-40, 10), st.integers(-6176, 6111)),
)
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))
NUMBERS = st.one_of(EDGES, DECIMALS, st.floats(), st.integers(-3, 3).map(float), INTEGERS, INTEGERS.map(Int64))
TEXT = st.one_of(st.sampled_from(["", "a", "a\0", "a\0b", "b", "é", "z", "ab"]), st.text(max_size=4))
SCALARS = st.one_of(
    NUMBERS,
    TEXT,
    st.none(),
    st.booleans(),
    st.binary(max_size=3),
    st.builds(Binary, st.binary(max_size=3), st.sampled_from([1, 2, 4, 5, 128])),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 3)),
    st.builds(Regex, st.sampled_from(["a", "^a", "b"]), st.sampled_from([0, 2, 8, 10])),
    st.builds(Code, st.sampled_from(["x", "y"]), st.one_of(st.none(), st.just({"a": 1}))),
    st.builds(MinKey),
    st.builds(MaxKey),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def reference_compare(a: Any, b: Any) -> int:
    """-1, 0 or 1 by BSON's order: types first, then each type's own rule."""
    return _sign(_rank(a), _rank(b)) or int(_SAME_TYPE[_rank(a)](a, b))


reference_key = cmp_to_key(reference_compare)


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _rank(value: Any) -> int:
    if isinstance(value, Code):
        return 12 if value.scope is None else 13
    for rank, kinds in _RANKS:
        if isinstance(value, kinds):
            return rank
    raise TypeError(type(value))


_RANKS: list[tuple[int, Any]] = [
    (0, MinKey),
    (1, type(None)),
    (8, bool),
    (9, DatetimeMS),
    (2, (int, float, Decimal128)),
    (3, str),
    (4, dict),
    (5, list),
    (6, bytes),
    (7, ObjectId),
    (10, Timestamp),
    (11, Regex),
    (14, MaxKey),
]


def _number(value: Any) -> tuple[int, Fraction]:
    exact = value.to_decimal() if isinstance(value, Decimal128) else value
    if exact != exact:
        return -2, Fraction(0)
    if exact in (math.inf, -math.inf):
        return (2 if exact > 0 else -1), Fraction(0)
    return 1, Fraction(exact)


def _binary(value: bytes) -> tuple[int, int, bytes]:
    subtype = value.subtype if isinstance(value, Binary) else 0
    raw = struct.pack("<i", len(value)) + value if subtype == 2 else bytes(value)
    return len(raw), subtype, raw


def _documents(a: dict[str, Any], b: dict[str, Any]) -> int:
    for (left, x), (right, y) in zip(a.items(), b.items(), strict=False):
        order = _sign(_rank(x), _rank(y)) or _sign(left.encode(), right.encode()) or reference_compare(x, y)
        if order:
            return order
    return _sign(len(a), len(b))


def _arrays(a: list[Any], b: list[Any]) -> int:
    return next((order for order in map(reference_compare, a, b) if order), 0) or _sign(len(a), len(b))


def _flags(regex: Any) -> tuple[str, str]:
    return regex.pattern, "".join(letter for flag, letter in ((2, "i"), (8, "m")) if regex.flags & flag)


_SAME_TYPE: dict[int, Any] = {
    0: lambda a, b: 0,
    1: lambda a, b: 0,
    2: lambda a, b: _sign(_number(a), _number(b)),
    3: lambda a, b: _sign(a.encode(), b.encode()),
    4: _documents,
    5: _arrays,
    6: lambda a, b: _sign(_binary(a), _binary(b)),
    7: lambda a, b: _sign(a.binary, b.binary),
    8: _sign,
    9: lambda a, b: _sign(int(a), int(b)),
    10: lambda a, b: _sign((a.time, a.inc), (b.time, b.inc)),
    11: lambda a, b: _sign(_flags(a), _flags(b)),
    12: lambda a, b: _sign(str(a), str(b)),
    13: lambda a, b: _sign(str(a), str(b)) or _documents(a.scope, b.scope),
    14: lambda a, b: 0,
}
