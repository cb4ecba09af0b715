"""``$regex`` and ``$options``, and regexes as plain values: text that a pattern is found in, or the same regex."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bson.code import Code
from bson.regex import Regex

from shadow_adapters.bson.keys import encode, regex_flags, regex_source
from shadow_adapters.bson.match.test import Leaf
from shadow_adapters.bson.paths import MISSING, Predicate
from shadow_adapters.bson.pcre import compile_search
from shadow_adapters.failures import CommandFailure

_OPTIONS = frozenset("imsxu")


def as_regex(value: Any) -> Regex[Any] | None:
    """The value as a BSON regex, or None if it is none."""
    if isinstance(value, Regex):
        return value
    return Regex.from_native(value) if isinstance(value, re.Pattern) else None


def pattern(regex: Regex[Any]) -> Predicate:
    """True for text that the regex is found in, and for a stored regex equal to it."""
    return _predicate(regex_source(regex), regex_flags(regex), encode(regex))


def _predicate(source: str, options: str, key: bytes) -> Predicate:
    if "\0" in source:
        raise CommandFailure(2, "Regular expression cannot contain an embedded null byte")
    for letter in options:
        if letter not in _OPTIONS:
            raise CommandFailure(51108, f"invalid flag in regex options: {letter}")
    found = compile_search(source, options)

    def predicate(value: Any) -> bool:
        if isinstance(value, str):
            return not isinstance(value, Code) and found(value)
        return isinstance(value, Regex) and value is not MISSING and encode(value) == key

    return predicate


def from_regex(argument: Any, condition: Mapping[str, Any]) -> Leaf:
    """``$regex``, with the ``$options`` beside it."""
    options = condition.get("$options", "")
    if not isinstance(options, str):
        raise CommandFailure(2, "$options has to be a string")
    regex = as_regex(argument)
    if regex is not None:
        flags = regex_flags(regex)
        if flags and options:
            raise CommandFailure(51075, "options set in both $regex and $options")
        source, options = regex_source(regex), flags or options
    elif isinstance(argument, str):
        source = argument
    else:
        raise CommandFailure(2, "$regex has to be a string")
    letters = "".join(sorted(set(options)))
    return Leaf(_predicate(source, letters, encode(_value(source, letters))))


def _value(source: str, letters: str) -> Regex[str]:
    return Regex(source, letters_to_flags(letters))


def letters_to_flags(letters: str) -> int:
    """Python's flags of BSON's option letters."""
    names = {"i": re.I, "m": re.M, "s": re.S, "u": re.U, "x": re.X}
    return sum(names.get(letter, 0) for letter in letters)


def from_options(condition: Mapping[str, Any]) -> None:
    """``$options`` is read with its ``$regex``; alone it is an error."""
    if "$regex" not in condition:
        raise CommandFailure(2, "$options needs a $regex")
