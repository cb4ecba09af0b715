"""Text search: words, terms, what a search asks for, what an index covers, and how much a term weighs."""

from __future__ import annotations

from typing import Any

import pytest

from shadow_adapters.bson.match.text import TextMatch, split_text
from shadow_adapters.bson.text import Definition, completed
from shadow_adapters.bson.text.language import Language, language
from shadow_adapters.bson.text.search import compile_search
from shadow_adapters.bson.text.stop_words import STOP_WORDS
from shadow_adapters.failures import CommandFailure

ENGLISH = Language("english")
NONE = Language("none")


def definition(key: dict[str, Any] | None = None, **options: Any) -> Definition:
    return Definition.of(completed({"key": key or {"a": "text"}, "name": "t", **options}))


@pytest.mark.parametrize(
    ("text", "spoken", "terms"),
    [
        ("Don't stop, can't go", ENGLISH, ["stop", "go"]),
        ("Don't stop", NONE, ["don", "t", "stop"]),
        ("the dog's bone", ENGLISH, ["dog", "bone"]),
        ("e-mail snake_case a.b/c", NONE, ["e", "mail", "snake_case", "a", "b", "c"]),
        ("«Straße» ÉTÉ—Ünï", NONE, ["straße", "ete", "uni"]),
        ("ΣΟΦΟΣ İI ẞ", NONE, ["σοφοσ", "Ii", "ß"]),
        ("Сы́рники ё й", NONE, ["сырники", "е", "и"]),
        ("日本、中国。", NONE, ["日本", "中国"]),
        ("running runner RUNS", ENGLISH, ["run", "runner", "run"]),
        ("och Flickorna sprang", Language("swedish"), ["flick", "sprang"]),
        ("\t\n ", ENGLISH, []),
    ],
)
def test_the_terms_of_a_text(text: str, spoken: Language, terms: list[str]) -> None:
    assert list(spoken.terms(text)) == terms


def test_terms_that_keep_capitals_and_marks() -> None:
    assert list(ENGLISH.terms("The Cafés", case_sensitive=True)) == ["Cafe"]
    assert list(ENGLISH.terms("The Cafés", diacritic_sensitive=True)) == ["café"]
    assert list(ENGLISH.terms("The Cafés", stop_words=True, case_sensitive=True)) == ["The", "Cafe"]


@pytest.mark.parametrize(("name", "whole"), [("en", "english"), ("EN", "english"), ("Nl", "dutch"), ("none", "none")])
def test_languages_by_name_and_code(name: str, whole: str) -> None:
    assert language(name, code=2, mistake="no") == Language(whole)


@pytest.mark.parametrize(
    ("name", "unsupported"),
    [("fr", "text language french"), ("turkish", "text language turkish"), ("xx", None), ("ar", None), ("", None)],
)
def test_languages_that_are_refused(name: str, unsupported: str | None) -> None:
    with pytest.raises(CommandFailure) as caught:
        language(name, code=17262, mistake="language override unsupported")
    assert (caught.value.code, caught.value.unsupported) == (17262, unsupported)


def test_each_language_served_has_stop_words_and_a_stemmer() -> None:
    assert set(STOP_WORDS) == {"none", "danish", "dutch", "english", "italian", "portuguese", "swedish"}
    assert len(STOP_WORDS["english"]) == 174
    for name, words in STOP_WORDS.items():
        assert list(Language(name).terms(" ".join(words - {word for word in words if "'" in word}))) == []
        assert bool(words) == (name != "none")


@pytest.mark.parametrize(
    ("sought", "terms", "negative", "phrases", "negated"),
    [
        ("foo bar", ["bar", "foo"], [], [], []),
        ("foo -bar", ["foo"], ["bar"], [], []),
        ("foo - bar", ["bar", "foo"], [], [], []),
        ("foo-bar", ["bar", "foo"], [], [], []),
        ("-foo-bar qux", ["qux"], ["bar", "foo"], [], []),
        ('"foo bar" qux', ["bar", "foo", "qux"], [], ["foo bar"], []),
        ('-"foo bar" qux', ["qux"], [], [], ["foo bar"]),
        ('-"foo bar"-"qux baz"', [], [], [], ["foo bar", "qux baz"]),
        ('- "foo"', ["foo"], [], ["foo"], []),
        ('"foo -bar"', ["bar", "foo"], [], ["foo -bar"], []),
        ('foo "bar', ["bar", "foo"], [], [], []),
        ('foo"bar"', ["bar", "foo"], [], ["bar"], []),
        ('""', [], [], [""], []),
        ("foo\t-bar", ["bar", "foo"], [], [], []),
        ("foo\n-bar", ["foo"], ["bar"], [], []),
        ("  -foo", [], ["foo"], [], []),
    ],
)
def test_what_a_search_asks_for(
    sought: str, terms: list[str], negative: list[str], phrases: list[str], negated: list[str]
) -> None:
    search = compile_search({"$search": sought}, NONE)
    assert list(search.terms) == terms
    assert sorted(search.negative) == negative
    assert [list(search.phrases), list(search.negated)] == [phrases, negated]


@pytest.mark.parametrize(
    ("sought", "document", "found"),
    [
        ('"foo ba"', "a foo bar", True),  # a phrase is any part of a text, not only whole words
        ('"FÓO  bar"', "a foo bar", False),
        ('"foo bar"', "Foo BÁR", True),
        ('"foo, bar"', "foo bar", False),
        ('"the foo"', "foo of the foo", True),
        ('foo -"BAR qux"', "foo bar qux", False),
        ("foo -the", "the foo", True),  # a stop word of the search is no term
    ],
)
def test_phrases_and_negation(sought: str, document: str, found: bool) -> None:
    assert TextMatch({"$search": sought}, definition()).matches({"a": document}) is found


def test_a_phrase_is_in_one_text() -> None:
    match = TextMatch({"$search": '"foo bar"'}, definition({"a": "text", "b": "text"}))
    assert not match.matches({"a": "foo", "b": "bar"})
    assert match.matches({"a": ["foo", "foo bar"]})


def scores(key: dict[str, Any], document: dict[str, Any], **options: Any) -> dict[str, float]:
    return definition(key, default_language="none", **options).scores(document)


def test_what_an_index_covers() -> None:
    nested = {"a": "text", "a.b": "text", "c.d": "text"}
    assert scores(nested, {"a": "one two"}) == {"one": 0.75, "two": 0.75}
    assert set(scores(nested, {"a": {"b": "x", "c": "y"}, "c": [{"d": ["z", ["no"]]}, "no"], "b": "no"})) == {"x", "z"}
    assert scores(nested, {"a": 5, "c": None}) == {}
    assert set(scores({"$**": "text"}, {"a": [["x"], {"b": "y"}], "language": "none", "n": 1})) == {"x", "y"}


def test_a_wildcard_lends_the_weight_of_the_next_field() -> None:
    options = {"weights": {"m": 5}}
    assert scores({"$**": "text"}, {"a": "x y"}, **options) == {"x": 3.75, "y": 3.75}
    assert scores({"$**": "text"}, {"m": "x y"}, **options) == {"x": 3.75, "y": 3.75}
    assert scores({"$**": "text"}, {"z": "x y"}, **options) == {"x": 0.75, "y": 0.75}


def test_an_array_is_covered_unless_another_name_comes_between() -> None:
    between = {"a-x": "text", "a.b": "text"}  # "a-x" stands between "a" and "a.b", where MongoDB looks for an array's
    assert scores(between, {"a": {"b": "x"}}) == {"x": 1.1}
    assert scores(between, {"a": [{"b": "x"}]}) == {}


@pytest.mark.parametrize(
    ("text", "term", "score"),
    [
        ("red", "red", 1.1),
        ("RED", "red", 1.1),
        ("red ", "red", 1.0),
        ("réd", "red", 1.0),
        ("red blue", "red", 0.75),
        ("red red", "red", 1.5),
        ("red red blue", "red", 1.5 * (0.5 * 2 / 3 + 0.5)),
        (" ".join(["red"] * 100), "red", 2.0),
    ],
)
def test_how_much_a_term_weighs(text: str, term: str, score: float) -> None:
    assert scores({"a": "text"}, {"a": text})[term] == pytest.approx(score, rel=1e-15)


def test_a_score_is_the_sum_of_the_terms() -> None:
    match = TextMatch({"$search": "red blue nothing"}, definition({"a": "text", "b": "text"}, weights={"b": 3}))
    assert match.score({"a": "red", "b": "a blue sky"}) == 1.1 + 3 * 0.75


def test_documents_name_their_language() -> None:
    spoken = definition()
    assert set(spoken.scores({"a": "the dogs"})) == {"dog"}
    assert set(spoken.scores({"a": "the dogs", "language": "none"})) == {"the", "dogs"}
    inner = {"language": "none", "b": {"language": "en", "a": "the dogs"}, "a": "the dogs"}
    assert set(definition({"b.a": "text", "a": "text"}).scores(inner)) == {"dog", "the", "dogs"}
    for wrong, code in ((5, 17261), ("klingon", 17262), ("", 17262)):
        with pytest.raises(CommandFailure) as caught:
            spoken.scores({"a": "x", "language": wrong})
        assert caught.value.code == code


def test_which_changes_move_the_terms() -> None:
    covered = definition({"z": 1, "a.b": "text", "c": "text"}, language_override="idioma")
    assert [name for name in ("z", "a", "c", "idioma", "b", "language") if covered.depends_on([name])] == [
        "z",
        "a",
        "c",
        "idioma",
    ]
    assert definition({"$**": "text"}).depends_on(["anything"])


def test_a_specification_is_completed_once() -> None:
    spec = {"v": 2, "key": {"b": "text", "a": "text"}, "name": "t", "weights": {"c.d": 2.9}}
    done = completed(spec)
    assert list(done.items()) == [
        ("v", 2),
        ("key", {"_fts": "text", "_ftsx": 1}),
        ("name", "t"),
        ("weights", {"a": 1, "b": 1, "c.d": 2}),
        ("default_language", "english"),
        ("language_override", "language"),
        ("textIndexVersion", 3),
    ]
    assert completed(done) == done


@pytest.mark.parametrize(
    ("filter", "argument", "rest"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"$text": 1, "a": 1}, 1, {"a": 1}),
        ({"$and": [{"$text": 1}, {"a": 1}]}, 1, {"$and": [{"a": 1}]}),
        ({"$and": [{"$and": [{"$text": 1}]}], "b": 2}, 1, {"b": 2}),
        ({"$and": [{"$text": 1}], "$or": [{"a": 1}]}, 1, {"$or": [{"a": 1}]}),
        ({"a": {"$text": 1}}, None, {"a": {"$text": 1}}),
    ],
)
def test_a_filter_parted_into_search_and_rest(filter: dict[str, Any], argument: Any, rest: dict[str, Any]) -> None:
    assert split_text(filter) == (argument, rest)
