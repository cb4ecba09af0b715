"""Regexes as PCRE reads them, never at the cost of the event loop."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow_adapters.bson.pcre import compile_find, compile_search
from shadow_adapters.bson.pcre.captures import Tracer
from shadow_adapters.bson.pcre.linear import Automaton
from shadow_adapters.bson.pcre.nodes import source
from shadow_adapters.bson.pcre.parse import Parsed
from shadow_adapters.failures import CommandFailure


@pytest.mark.parametrize(
    ("pattern", "options", "found", "not_found"),
    [
        (r"\d", "", "5", "٣"),
        (r"\w", "", "a", "é"),
        (r"[\w-]", "", "-", "é"),
        (r"^[^\W]$", "", "a", "é"),
        (r"\bé", "", "aé", "é"),
        (r"a\Z", "", "a\n", "ab"),
        (r"\Aa", "m", "a\nb", "b\na"),
        (r"[^]a]", "", "b", "]a"),
        (r"[a\-z]", "", "-", "b"),
        (r"[\d-z]", "", "-", "a"),
        (r"[[&&]", "", "&", "a"),
        (r"[\b]", "", "\b", "b"),
        (r"a{x}", "", "a{x}", "aaa"),
        (r"a{2}b{1,}c{0,1}", "", "aabb", "ab"),
        (r"\x41\x{1F600}", "", "A\U0001f600", "A"),
        (r"(?i)ab|CD", "", "cd", "ac"),
        (r"(?P<n>a)(?<m>b)(c)", "", "abc", "ab"),
        (r"a(?#no)b", "", "ab", "a(b"),
        (r"a(?=b)", "", "ab", "ac"),
        (r"(?<!a)b", "", "cb", "ab"),
        (r"a [ ] b", "x", "a b", "ab"),
        (r"a +", "x", "aaa", "b"),
        (r"a.", "", "ab", "a\n"),
        (r"\p{L}", "", "é", "1"),
        (r"^\p{Lu}$", "i", "É", "é"),
        (r"^[\p{N}x]+$", "", "x٣", "y"),
        (r"\P{L}|\pP", "", "1", "é"),
        (r"^(?:foo|bar)+$", "", "foobar", "foob"),
        (r"\.\/\*", "", "./*", "a/b"),
        (r"", "", "", None),
    ],
)
def test_found(pattern: str, options: str, found: str, not_found: str | None) -> None:
    search = compile_search(pattern, options)
    assert search(found)
    assert not_found is None or not search(not_found)


@pytest.mark.parametrize(
    ("pattern", "feature"),
    [
        (r"a++", "possessive quantifier"),
        (r"a{2}+", "possessive quantifier"),
        (r"a{,2}", "quantifier {,n}"),
        (r"\h", r"\h"),
        (r"a\z", r"\z"),
        (r"\p{Greek}", r"\p{Greek}"),
        (r"(?i)[\p{Lu}]", r"[\p{Lu}] without regard to case"),
        (r"\Qa\E", r"\Q"),
        (r"(a)\1", r"\1"),
        (r"[\v]", r"\v"),
        (r"[[:alpha:]]", "POSIX character class"),
        (r"(?>a)", "group (?>"),
        (r"(?|a)", "group (?|"),
        (r"(*UCP)a", "group (*U"),
        (r"^*", "quantified assertion"),
        (r"(?<=a+)b", "look-behind of varying width"),
        ("(" * 101 + "a" + ")" * 101, "deeply nested groups"),
    ],
)
def test_refused_by_name(pattern: str, feature: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_search(pattern, "")
    assert (caught.value.code, caught.value.unsupported) == (2, f"$regex {feature}")


@pytest.mark.parametrize("pattern", ["(a", "a)", "[a", "*a", "a**", "a{2,1}", "[b-a]", "a\\", r"\x{110000}", "(?:"])
def test_invalid_as_in_mongodb(pattern: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_search(pattern, "")
    assert (caught.value.code, caught.value.unsupported) == (51091, None)


def test_a_linear_pattern_searches_any_length() -> None:
    assert compile_search("^.*b$", "")("a" * 16_000_000 + "b")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(a+)+$", "a" * 50_000 + "b", False),
        ("(a+)+$", "b" * 50_000 + "a", True),
        ("(a|a)*b", "a" * 50_000, False),
        ("^((a?){10}){10}b", "a" * 1_000, False),
        ("(a?){30}a{30}", "a" * 30, True),
        ("(a|b)*a(a|b){12}c", "abba" * 10_000, False),
        ("a*a*a*a*b", "a" * 50_000, False),
        ("foo.*bar", "foo " * 20_000, False),
        ("foo.*bar", "foo " * 20_000 + "bar", True),
        (r"\bfoo\b.*\bbar$", "foo " * 20_000 + "bar\n", True),
        ("(?i)x.*É$", "x " * 20_000 + "é", True),
    ],
)
def test_what_could_take_too_long_is_searched_in_linear_time(pattern: str, text: str, found: bool) -> None:
    assert compile_search(pattern, "")(text) is found


@pytest.mark.parametrize(
    ("pattern", "text", "feature"),
    [
        ("foo.*bar", "foo " * 600_000, "several quantifiers over a long text"),
        ("(?=.*a).*b.*c", "a" * 20_000, "look-around beside several quantifiers"),
        ("((a?){50}){50}", "a", "too many repetitions"),
        (
            "(a|b)*a(a|b){300}c",
            format(3**30_000, "b").translate({48: "a", 49: "b"}),
            "too many alternatives over a long text",
        ),
    ],
)
def test_what_cannot_be_bounded_is_refused(pattern: str, text: str, feature: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_search(pattern, "")(text)
    assert (caught.value.code, caught.value.unsupported) == (2, f"$regex {feature}")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\B", r"\w", r"\Z", r"\A", r"\n"])
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0}", "*?"])


def _quantified(body: str, quantifier: str) -> str:
    return f"(?:{body}){quantifier}"


PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(_quantified, inner, QUANTIFIERS),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
    ),
    max_leaves=6,
)


@given(PATTERNS, st.sampled_from(["", "i", "m", "s", "ms"]), st.text("aAb\n ", max_size=6))
def test_the_automaton_finds_what_backtracking_finds(pattern: str, options: str, text: str) -> None:
    parsed = Parsed(pattern, options)
    expected = re.search(source(parsed.node), text, parsed.flags) is not None
    assert Automaton(parsed.node, parsed.flags).found(text) is expected


@given(PATTERNS, st.text("aAb\n ", max_size=6))
def test_a_translated_pattern_means_what_python_means_where_the_two_agree(pattern: str, text: str) -> None:
    expected = re.search(pattern.replace(r"\Z", r"(?=\n?\Z)"), text, re.ASCII) is not None
    assert compile_search(pattern, "")(text) is expected


def traced(parsed: Parsed, text: str) -> list[object] | str:
    """Every match of a text in linear time, or the name of why not."""
    try:
        find = Tracer(parsed, Automaton(parsed.node, parsed.flags), text).find
        return [find(start) for start in range(len(text) + 1)]
    except CommandFailure as failure:
        return str(failure.unsupported)


@given(PATTERNS, st.sampled_from(["", "i", "m", "s"]), st.text("aAb\n ", max_size=6))
def test_linear_time_captures_what_backtracking_captures(pattern: str, options: str, text: str) -> None:
    parsed = Parsed(pattern, options)
    search = re.compile(source(parsed.node), parsed.flags).search
    matches = [search(text, start) for start in range(len(text) + 1)]
    marks = [m and tuple(None if mark < 0 else mark for span in m.regs for mark in span) for m in matches]
    found = traced(parsed, text)
    assert found in (marks, "$regex captures of a repetition of what may be empty, over a long text")


def test_a_long_text_is_traced_in_linear_time() -> None:
    text = "foo " * 5_000 + "bar baz"
    find = compile_find("f(o+).*(b.)r.*?(z)", "")(text)
    assert find(0) == (0, 20_007, 1, 3, 20_000, 20_002, 20_006, 20_007)
    assert find(19_999) is None


@pytest.mark.parametrize(
    ("pattern", "text", "feature"),
    [
        ("((a?)b?)*c.*d.*e", "a" * 20_000, "captures of a repetition of what may be empty, over a long text"),
        ("a.*b.*(c)", "a" * 600_000, "captures beside several quantifiers over a long text"),
    ],
)
def test_captures_that_cannot_be_bounded_are_refused(pattern: str, text: str, feature: str) -> None:
    with pytest.raises(CommandFailure) as caught:
        compile_find(pattern, "")(text)(0)
    assert (caught.value.code, caught.value.unsupported) == (2, f"$regex {feature}")
