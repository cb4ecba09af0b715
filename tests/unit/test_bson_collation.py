"""Collations: which texts are equal, in which order they are, what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.collation import SIMPLE, compile_collation
from shadow_adapters.bson.distinct import Distinct
from shadow_adapters.bson.keys import encode
from shadow_adapters.bson.match import compile_filter
from shadow_adapters.bson.order import sort_documents
from shadow_adapters.bson.projection import compile_projection
from shadow_adapters.bson.update import check_update
from shadow_adapters.failures import CommandFailure

BY_STRENGTH = {strength: compile_collation({"locale": "en", "strength": strength}) for strength in (1, 2, 3)}
BASE, NO_CASE, ALL = BY_STRENGTH.values()
WITH_OPTIONS = [
    compile_collation({"locale": "en", "strength": strength, option: True})
    for strength in (1, 2, 3)
    for option in ("caseLevel", "numericOrdering")
]

EQUAL: list[tuple[str, str, int]] = [
    ("abc", "abc", 3),
    ("é", "e\u0301", 3),
    ("a\0b", "ab", 3),
    ("soft\u00adhyphen", "softhyphen", 3),
    ("abc", "ABC", 2),
    ("É", "é", 2),
    ("ﬁn", "fin", 2),
    ("ＡＢＣ", "abc", 2),
    ("straße", "STRASSE", 2),
    ("x²", "x2", 2),
    ("ИВАН", "иван", 2),
    ("ΣΊΣΥΦΟΣ", "σίσυφος", 2),
    ("resume", "résumé", 1),
    ("Ångström", "angstrom", 1),
    ("ё", "Е", 1),
    ("ά", "α", 1),
    ("æther", "Aether", 1),
    ("abc", "abd", 0),
    ("a b", "ab", 0),
    ("a-b", "ab", 0),
    ("1", "01", 0),
    ("й", "и", 0),
    ("中", "文", 0),
    ("👍", "👎", 0),
    ("´", " ", 0),
]
"""Two texts, and the greatest strength at which they are equal; 0: none."""


@pytest.mark.parametrize(("left", "right", "greatest"), EQUAL)
def test_equality(left: str, right: str, greatest: int) -> None:
    for strength, collation in BY_STRENGTH.items():
        assert (collation.equal(left) == collation.equal(right)) is (strength <= greatest), strength


ORDERED = [
    *("", " ", "_", "-x", ",", "(", "@", "$5", "1", "10", "2", "a", "A", "á", "à", "ä", "Ä", "ab", "ÁB", "b", "cote"),
    *("coté", "côte", "côté", "z", "Z", "α", "ά", "ω", "а", "е", "ё", "ж", "и", "й", "Я"),
]


def test_order() -> None:
    assert sorted(sorted(ORDERED), key=ALL.order) == ORDERED
    keys = [ALL.order(text) for text in ORDERED]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("strength", "texts"), [(1, ["b", "B", "a", "á", "A"]), (2, ["b", "B", "á", "a", "A"]), (3, ["B", "b", "A", "a"])]
)
def test_order_by_strength(strength: int, texts: list[str]) -> None:
    documents = [{"t": text} for text in texts]
    expected = {1: ["a", "á", "A", "b", "B"], 2: ["a", "A", "á", "b", "B"], 3: ["a", "A", "b", "B"]}[strength]
    assert [each["t"] for each in sort_documents(documents, {"t": 1}, BY_STRENGTH[strength])] == expected


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"strength": 1, "caseLevel": True}, [["a", "á"], ["A", "Á"], ["b"], ["B"]]),
        ({"strength": 2, "caseLevel": True}, [["a", "ａ"], ["A"], ["á"], ["Á"], ["straße", "strasse"], ["STRASSE"]]),
        ({"strength": 3, "caseLevel": True}, [["a"], ["A"], ["á"], ["b"]]),
        ({"numericOrdering": True}, [["$"], ["0", "00"], ["1", "01"], ["1a"], ["2"], ["10", "010"], ["a2"], ["a10"]]),
        ({"numericOrdering": True, "strength": 2}, [["x2y", "X02Y"], ["x10"], ["x10.5"], ["x10.25"], ["x100"]]),
        ({"strength": 1}, [["a10"], ["a2", "A2"]]),
    ],
)
def test_cases_and_numbers(options: dict[str, Any], texts: list[list[str]]) -> None:
    collation = compile_collation({"locale": "en", **options})
    keys = [{collation.equal(text) for text in same} for same in texts]
    assert [len(each) for each in keys] == [1] * len(texts)
    assert len(set().union(*keys)) == len(texts)
    places = [collation.order(text) for same in texts for text in same if text.isascii() or "á" in text.lower()]
    assert places == sorted(places)


LATIN = st.text("abcABC áÀéÉöñÅ-_.019\u0301\u0308", max_size=6)


@given(LATIN, LATIN)
def test_what_is_equal_has_one_place_in_the_order(left: str, right: str) -> None:
    for collation in [*BY_STRENGTH.values(), *WITH_OPTIONS]:
        assert (collation.equal(left) == collation.equal(right)) is (collation.order(left) == collation.order(right))
    if BASE.order(left) != BASE.order(right):  # a greater strength only tells apart what was equal
        assert (BASE.order(left) < BASE.order(right)) is (ALL.order(left) < ALL.order(right))


@given(st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.binary(max_size=3), st.lists(st.integers(0, 9))))
def test_what_has_no_text_is_as_it_is(value: Any) -> None:
    assert ALL.equal(value) == ALL.order(value) == encode(value)


def test_values_with_texts_in_them() -> None:
    assert NO_CASE.equal({"a": ["X", 1]}) == NO_CASE.equal({"a": ["x", Decimal128("1.0")]})
    assert NO_CASE.equal({"A": 1}) != NO_CASE.equal({"a": 1})
    assert NO_CASE.equal(Code("X")) != NO_CASE.equal(Code("x"))
    assert NO_CASE.order(["b"]) > NO_CASE.order(["A", 5])
    assert NO_CASE.order("a") < NO_CASE.order(DatetimeMS(0))


@pytest.mark.parametrize(
    ("kind", "strength", "text", "named"),
    [
        ("equal", 2, "ひらがな", "collation equality of U+3072"),
        ("equal", 1, "łódź", "collation equality of U+0142"),
        ("equal", 1, "क\u093c", "collation equality of U+093C"),
        ("order", 3, "日本", "collation order of U+65E5"),
        ("order", 1, "łódź", "collation order of U+0142"),
        ("order", 3, "👍", "collation order of U+1F44D"),
    ],
)
def test_what_is_not_known_is_refused_by_name(kind: str, strength: int, text: str, named: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        getattr(BY_STRENGTH[strength], kind)(text)
    assert (caught.value.code, caught.value.unsupported) == (2, named)


@pytest.mark.parametrize(
    ("spec", "code", "unsupported"),
    [
        ("en", 14, None),
        ({"strength": 1}, 40414, None),
        ({"locale": 1}, 14, None),
        ({"locale": "en", "strength": "x"}, 14, None),
        ({"locale": "en", "strength": 6}, 2, None),
        ({"locale": "en", "strength": 1.5}, 2, None),
        ({"locale": "en", "caseLevel": 1}, 14, None),
        ({"locale": "en", "caseFirst": "x"}, 2, None),
        ({"locale": "en", "unknown": 1}, 40415, None),
        ({"locale": "simple", "strength": 1}, 2, None),
        ({"locale": "en", "strength": 4}, 2, "collation strength 4"),
        ({"locale": "sv"}, 2, "collation locale sv"),
        ({"locale": "en", "caseFirst": "upper"}, 2, "collation caseFirst upper"),
        ({"locale": "en", "alternate": "shifted"}, 2, "collation alternate shifted"),
        ({"locale": "fr", "backwards": True}, 2, "collation backwards True"),
    ],
)
def test_specifications_that_are_refused(spec: Any, code: int, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_collation(spec)
    assert (caught.value.code, caught.value.unsupported) == (code, unsupported)


def test_specifications_that_are_served() -> None:
    assert compile_collation(None) is compile_collation({}) is compile_collation({"locale": "simple"}) is SIMPLE
    every = {
        "locale": "de",
        "strength": 2.0,
        "caseLevel": False,
        "caseFirst": "off",
        "numericOrdering": False,
        "alternate": "non-ignorable",
        "maxVariable": "punct",
        "normalization": True,
        "backwards": False,
        "version": "57.1",
    }
    assert compile_collation(every) is NO_CASE


DOCUMENTS: list[dict[str, Any]] = [
    {"_id": n, "a": value} for n, value in enumerate(["ABC", "abc", "ábc", ["x", "aBc"], {"t": "ABC"}, 5, None, "abd"])
]


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("abc", [0, 1, 3]),  # 49
        ({"$ne": "abc"}, [2, 4, 5, 6, 7]),
        ({"$in": ["ABC", 5]}, [0, 1, 3, 5]),
        ({"$nin": ["ABC", None]}, [2, 4, 5, 7]),
        ({"$gt": "ABC", "$lt": "abd"}, [2, 3]),
        ({"$gte": "ABC"}, [0, 1, 2, 3, 7]),
        ({"t": "abc"}, [4]),
        ({"$all": ["X", "abc"]}, [3]),
        ({"$elemMatch": {"$eq": "X"}}, [3]),
        ({"$not": {"$eq": "abc"}}, [2, 4, 5, 6, 7]),
        ({"$gt": 1}, [5]),
        ({"$regex": "^a"}, [1, 3, 7]),
        ({"$exists": True}, list(range(8))),
    ],
)
def test_filters(condition: Any, ids: list[int]) -> None:
    matcher = compile_filter({"a": condition}, collation=NO_CASE)
    assert [document["_id"] for document in DOCUMENTS if matcher.matches(document)] == ids


def test_a_text_that_is_not_known_matters_only_beside_a_text() -> None:
    document = {"a": "ひ"}
    told: list[Any] = [5, {"$gt": 1}, {"$in": [1, None]}, {"$type": "int"}]
    for condition in told:
        assert not compile_filter({"a": condition}, collation=NO_CASE).matches(document)
    not_told: list[Any] = ["x", {"$gt": "x"}, {"$in": ["x", 1]}]
    for condition in not_told:
        with pytest.raises(CommandFailure):
            compile_filter({"a": condition}, collation=NO_CASE).matches(document)


def test_expressions_that_compare_are_refused() -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_filter({"$expr": {"$eq": ["$a", "x"]}}, collation=NO_CASE)
    assert caught.value.unsupported == "collation with $expr"
    with pytest.raises(CommandFailure) as caught:
        check_update([{"$set": {"a": {"$cond": [{"$gt": ["$a", "x"]}, 1, 2]}}}], collation=NO_CASE)
    assert caught.value.unsupported == "collation of a pipeline"


def test_expressions_that_compare_nothing_are_the_same_under_every_collation() -> None:
    assert compile_filter({"$expr": "$a", "b": "X"}, collation=NO_CASE).matches({"a": 1, "b": "x"})
    change = check_update([{"$set": {"b": {"$concat": ["$a", "!"]}}}, {"$unset": "a"}], collation=NO_CASE)
    assert change.apply({"_id": 1, "a": "x"}, inserting=False, now=DatetimeMS(0)) == {"_id": 1, "b": "x!"}


def test_distinct_values() -> None:
    gathered = Distinct("a", NO_CASE)
    for document in DOCUMENTS[:4]:
        gathered.add(document)
    assert gathered.values == ["ABC", "ábc", "x"]


@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        (["a"], {"$addToSet": {"a": "A"}}, ["a"]),
        (["a", "B"], {"$pull": {"a": "b"}}, ["a"]),
        (["a", "B", "c"], {"$pull": {"a": {"$in": ["A", "b"]}}}, ["c"]),
        ([{"t": "A"}, 1], {"$pull": {"a": {"t": "a"}}}, [1]),
        (["a", "B"], {"$pullAll": {"a": ["A", "b"]}}, []),
        (["b", "C"], {"$push": {"a": {"$each": ["A"], "$sort": 1}}}, ["A", "b", "C"]),
        ([{"t": "b"}, {"t": "A"}], {"$push": {"a": {"$each": [], "$sort": {"t": -1}}}}, [{"t": "b"}, {"t": "A"}]),
        ("b", {"$min": {"a": "A"}}, "A"),
        ("b", {"$max": {"a": "B"}}, "b"),
        (["a", "b"], {"$set": {"a.$[e]": "x"}}, ["x", "b"]),
    ],
)
def test_updates(before: Any, update: dict[str, Any], after: Any) -> None:
    filters = [{"e": "A"}] if "$set" in update else ()
    compiled = check_update(update, filters, collation=NO_CASE)
    assert compiled.apply({"a": before}, inserting=False, now=DatetimeMS(0)) == {"a": after}


def test_projections() -> None:
    document = {"_id": 1, "a": ["x", "Y"]}
    matching = compile_projection({"a": {"$elemMatch": {"$eq": "y"}}}, collation=NO_CASE)
    assert matching.apply(document) == {"_id": 1, "a": ["Y"]}
    found = compile_projection({"a.$": 1}, {"a": "y"}, collation=NO_CASE)
    assert found.apply(document) == {"_id": 1, "a": ["Y"]}
