"""``$regexMatch $regexFind $regexFindAll``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bson.regex import Regex

from shadow_adapters.bson.expression.arguments import Parameters, by_name
from shadow_adapters.bson.expression.compiler import Operator, Operators
from shadow_adapters.bson.expression.values import is_text, nullish, text
from shadow_adapters.bson.keys import regex_flags, regex_source
from shadow_adapters.bson.pcre import compile_find, compile_search
from shadow_adapters.failures import CommandFailure

_PARAMETERS: Final = Parameters({"input": 31022, "regex": 31023}, ("options",), unknown=31024, no_object=51103)
_OPTIONS: Final = frozenset("imsx")
_MEMORY: Final = 64 * 1024 * 1024
_BYTES_OF_MATCH: Final = 128
_BYTES_OF_CAPTURE: Final = 16

Asked = tuple[str, str, str]
"""A text, and the pattern that it is searched for, with its options."""


def _match(name: str) -> Operator:
    def function(input: Any, regex: Any, options: Any = None) -> bool:
        asked = _asked(name, input, regex, options)
        return asked is not None and compile_search(*asked[1:])(asked[0])

    return by_name(function, _PARAMETERS)


def _find(name: str) -> Operator:
    def function(input: Any, regex: Any, options: Any = None) -> Any:
        asked = _asked(name, input, regex, options)
        return None if asked is None else next(_matches(*asked), None)

    return by_name(function, _PARAMETERS)


def _find_all(name: str) -> Operator:
    def function(input: Any, regex: Any, options: Any = None) -> list[Any]:
        asked = _asked(name, input, regex, options)
        if asked is None:
            return []
        found, held = [], 0
        for match in _matches(*asked):
            found.append(match)
            captured = sum(len(capture or "") + _BYTES_OF_CAPTURE for capture in match["captures"])
            held += _BYTES_OF_MATCH + len(match["match"]) + captured
            if held > _MEMORY:
                raise CommandFailure(51151, f"{name}: the size of buffer to store output exceeded the 64MB limit")
        return found

    return by_name(function, _PARAMETERS)


def _matches(subject: str, pattern: str, options: str) -> Iterator[dict[str, Any]]:
    """The matches one after another, each with the place of its first character.

    One that is empty is followed by a search from the next character on; none begins at the end of the text but in an
    empty one (MongoDB 7.0's ``ExpressionRegexFindAll``).
    """
    find = compile_find(pattern, options)(subject)
    at = 0
    while at < len(subject) or not at:
        marks = find(at)
        if marks is None:
            return
        start, end, *groups = [-1 if mark is None else mark for mark in marks]
        captures = [
            subject[begin:stop] if begin >= 0 else None for begin, stop in zip(groups[::2], groups[1::2], strict=True)
        ]
        yield {"match": subject[start:end], "idx": start, "captures": captures}
        at = end if end > start else end + 1


def _asked(name: str, input: Any, regex: Any, options: Any) -> Asked | None:
    """What is searched, and for what; None where there is none of them. Raises `CommandFailure`."""
    source, letters = _pattern(name, regex, options)
    if not nullish(input):
        text(input, 51104, f"{name} needs 'input' to be of type string")
    return None if nullish(input) or source is None else (input, source, letters)


def _pattern(name: str, regex: Any, options: Any) -> tuple[str | None, str]:
    """A pattern with its options; None where there is none."""
    letters = "" if nullish(options) else text(options, 51106, f"{name} needs 'options' to be of type string")
    source: str | None = None
    if isinstance(regex, Regex):
        own = regex_flags(regex)
        if own and not nullish(options):
            raise CommandFailure(51107, f"{name} found regex options in both 'regex' and 'options'")
        source, letters = regex_source(regex), own or letters
    elif is_text(regex):
        source = regex
    elif not nullish(regex):
        raise CommandFailure(51105, f"{name} needs 'regex' to be of type string or regex")
    if source is not None and "\0" in source:
        raise CommandFailure(51109, f"{name}: regular expression cannot contain an embedded null byte")
    if not _OPTIONS.issuperset(letters):
        raise CommandFailure(51108, f"{name} invalid flag in regex options: {letters}")
    return source, "".join(sorted(set(letters)))


REGEXES: Final[Operators] = {
    "$regexMatch": _match("$regexMatch"),
    "$regexFind": _find("$regexFind"),
    "$regexFindAll": _find_all("$regexFindAll"),
}
