"""Regexes as PCRE reads them, never at the cost of the event loop."""

from __future__ import annotations

import pytest

from shadow_adapters.bson.pcre import compile_search
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
        (r"(a+)+$", "nested quantifiers"),
        (r"(a|a)*b", "nested quantifiers"),
        (r"(a?b)*", "nested quantifiers"),
        (r"(a|ab)*", "nested quantifiers"),
        (r"(a?){30}a{30}", "nested quantifiers"),
        (r"((a|a){9}){9}", "too many alternatives"),
        (r"a++", "possessive quantifier"),
        (r"a{2}+", "possessive quantifier"),
        (r"a{,2}", "quantifier {,n}"),
        (r"\h", r"\h"),
        (r"a\z", r"\z"),
        (r"\p{L}", r"\p"),
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


def test_a_text_that_would_take_too_long_is_refused() -> None:
    search = compile_search("a*a*a*a*b", "")
    assert not search("a" * 20)
    with pytest.raises(CommandFailure, match="over a long text"):
        search("a" * 100_000)
