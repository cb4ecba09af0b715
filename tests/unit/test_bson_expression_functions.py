"""Expressions of angles, bits and timestamps: what each comes to, or the code of its error."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow_adapters.bson.expression import compile_expression
from shadow_adapters.bson.numbers import CONTEXT, as_double, decimal128
from tests.unit.test_bson_expression_scalars import Fails, expected, outcome

PI = "3.141592653589793238462643383279503"
ONE = "1.000000000000000000000000000000000"
QUARTER = "0.7853981633974483096156608458198757"

DOUBLES: list[tuple[Any, Any]] = [
    ({"$sin": 0}, 0.0),
    ({"$sin": Int64(0)}, 0.0),
    ({"$cos": 0}, 1.0),
    ({"$tan": 0.5}, math.tan(0.5)),
    ({"$asin": 1}, math.pi / 2),
    ({"$acos": -1}, math.pi),
    ({"$atan": math.inf}, math.pi / 2),
    ({"$atan2": [0, -1]}, math.pi),
    ({"$atan2": [1, "$none"]}, None),
    ({"$sinh": 1000}, math.inf),
    ({"$sinh": -1000}, -math.inf),
    ({"$cosh": -1000}, math.inf),
    ({"$tanh": math.inf}, 1.0),
    ({"$asinh": 2}, math.asinh(2)),
    ({"$acosh": 1}, 0.0),
    ({"$acosh": math.inf}, math.inf),
    ({"$atanh": 1}, math.inf),
    ({"$atanh": -1}, -math.inf),
    ({"$degreesToRadians": 180}, math.pi),
    ({"$radiansToDegrees": math.pi}, 180.0),
    ({"$sin": "$none"}, None),
    ({"$sin": math.nan}, math.nan),
    ({"$sin": "$s"}, Fails(28765)),
    ({"$sin": math.inf}, Fails(50989)),
    ({"$tan": -math.inf}, Fails(50989)),
    ({"$asin": 1.1}, Fails(50989)),
    ({"$acos": -2}, Fails(50989)),
    ({"$acosh": 0.9}, Fails(50989)),
    ({"$atanh": 2}, Fails(50989)),
    ({"$atan2": ["$s", 1]}, Fails(51044)),
    ({"$atan2": [1, "$s"]}, Fails(51045)),
    ({"$sin": [1, 2]}, Fails(16020)),
]


def _decimals(name: str, *pairs: tuple[str, Any]) -> list[tuple[Any, Any]]:
    results = [result if isinstance(result, Fails) else Decimal128(result) for _, result in pairs]
    return [({name: Decimal128(given)}, result) for (given, _), result in zip(pairs, results, strict=True)]


DECIMALS: list[tuple[Any, Any]] = [
    *_decimals("$sin", ("0", "0"), ("0.5235987755982988730771072305465838", "0.5000000000000000000000000000000000")),
    *_decimals("$sin", ("1E-40", ONE + "E-40"), ("1E-6176", "1E-6176")),
    *_decimals("$sin", ("1E+22", "-0.8522008497671888017727058937530294"), ("NaN", "NaN"), ("Infinity", Fails(50989))),
    *_decimals("$cos", ("0", "1"), (PI, "-" + ONE)),
    *_decimals("$tan", (QUARTER, ONE)),
    *_decimals("$asin", ("-1", "-1.570796326794896619231321691639751"), ("1.1", Fails(50989))),
    *_decimals("$acos", ("0.5", "1.047197551196597746154214461093168"), ("-1", PI), ("1", "0")),
    *_decimals("$atan", ("1", QUARTER), ("-Infinity", "-1.570796326794896619231321691639751")),
    *_decimals("$sinh", ("1", "1.175201193643801456882381850595601"), ("15000", "Infinity"), ("-1E+9", "-Infinity")),
    *_decimals("$cosh", ("0", "1"), ("1", "1.543080634815243778477905620757062"), ("-Infinity", "Infinity")),
    *_decimals("$tanh", ("1", "0.7615941559557648881194582826047936"), ("Infinity", "1"), ("-Infinity", "-1")),
    *_decimals("$tanh", ("100", ONE), ("-1E+9", "-" + ONE)),
    *_decimals("$asinh", ("1", "0.8813735870195430252326093249797923"), ("-Infinity", "-Infinity")),
    *_decimals("$acosh", ("1", "0"), ("2", "1.316957896924816708625046347307968"), ("0.9", Fails(50989))),
    *_decimals("$atanh", ("0.5", "0.5493061443340548456976226184612629"), ("-1", "-Infinity")),
    *_decimals("$degreesToRadians", ("180", PI)),
    *_decimals("$radiansToDegrees", (PI, "180.0000000000000000000000000000000")),
    ({"$atan2": [1, Decimal128("1")]}, Decimal128(QUARTER)),
    ({"$atan2": [Decimal128("-0"), -1]}, Decimal128("-" + PI)),
    ({"$atan2": [Decimal128("0"), 1]}, Decimal128("0")),
    ({"$atan2": [Decimal128("-Infinity"), 1]}, Decimal128("-1.570796326794896619231321691639751")),
    ({"$atan2": [Decimal128("NaN"), 1]}, Decimal128("NaN")),
]  # fmt: skip

BITS: list[tuple[Any, Any]] = [
    ({"$bitAnd": [12, 10]}, 8),
    ({"$bitAnd": [Int64(12), 10]}, Int64(8)),
    ({"$bitAnd": []}, -1),
    ({"$bitOr": [12, 3]}, 15),
    ({"$bitOr": []}, 0),
    ({"$bitOr": [5]}, 5),
    ({"$bitXor": [12, 10, 1]}, 7),
    ({"$bitXor": [-1, Int64(2**40)]}, Int64(-1 - 2**40)),
    ({"$bitAnd": ["$none", "$s"]}, None),
    ({"$bitAnd": ["$s", "$none"]}, Fails(14)),
    ({"$bitAnd": [1, 1.0]}, Fails(14)),
    ({"$bitNot": 5}, -6),
    ({"$bitNot": Int64(5)}, Int64(-6)),
    ({"$bitNot": "$none"}, None),
    ({"$bitNot": 1.5}, Fails(14)),
    ({"$bitNot": "$s"}, Fails(28765)),
    ({"$bitNot": [1, 2]}, Fails(16020)),
]

TIMESTAMPS: list[tuple[Any, Any]] = [
    ({"$tsSecond": "$t"}, Int64(100)),
    ({"$tsIncrement": "$t"}, Int64(1)),
    ({"$tsSecond": "$none"}, None),
    ({"$tsSecond": "$d"}, Fails(5687301)),
    ({"$tsIncrement": 5}, Fails(5687302)),
]

CASES = [*DOUBLES, *DECIMALS, *BITS, *TIMESTAMPS]


@pytest.mark.parametrize(("expression", "result"), CASES, ids=lambda value: str(value)[:70])
def test_functions(expression: Any, result: Any) -> None:
    assert outcome(expression) == expected(result)


_NAMES = st.sampled_from(["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "tanh", "asinh", "atanh"])
_VALUES = st.one_of(st.floats(-0.99, 0.99), st.floats(-1e-9, 1e-9))


@given(name=_NAMES, value=_VALUES)
@settings(max_examples=300, deadline=None)
def test_a_decimal_has_the_digits_of_a_double(name: str, value: float) -> None:
    exact = decimal128(CONTEXT.create_decimal(value))
    found = as_double(compile_expression({f"${name}": exact}).evaluate({}))
    assert found == pytest.approx(getattr(math, name)(value), rel=1e-14, abs=1e-320)
