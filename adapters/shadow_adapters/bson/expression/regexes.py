"""``$regexMatch``."""

from __future__ import annotations

from typing import Any, Final

from bson.regex import Regex

from shadow_adapters.bson.expression.arguments import Parameters, by_name
from shadow_adapters.bson.expression.compiler import Operators
from shadow_adapters.bson.expression.values import is_text, nullish, text
from shadow_adapters.bson.keys import regex_flags, regex_source
from shadow_adapters.bson.pcre import compile_search
from shadow_adapters.failures import CommandFailure

_MATCH: Final = Parameters({"input": 31022, "regex": 31023}, ("options",), unknown=31024, no_object=51103)
_OPTIONS: Final = frozenset("imsx")


def _match(input: Any, regex: Any, options: Any = None) -> bool:
    source, letters = _pattern(regex, options)
    if not nullish(input):
        text(input, 51104, "$regexMatch needs 'input' to be of type string")
    if nullish(input) or source is None:
        return False
    return compile_search(source, letters)(input)


def _pattern(regex: Any, options: Any) -> tuple[str | None, str]:
    """A pattern with its options; None where there is none."""
    letters = "" if nullish(options) else text(options, 51106, "$regexMatch needs 'options' to be of type string")
    source: str | None = None
    if isinstance(regex, Regex):
        own = regex_flags(regex)
        if own and not nullish(options):
            raise CommandFailure(51107, "$regexMatch found regex options in both 'regex' and 'options'")
        source, letters = regex_source(regex), own or letters
    elif is_text(regex):
        source = regex
    elif not nullish(regex):
        raise CommandFailure(51105, "$regexMatch needs 'regex' to be of type string or regex")
    if source is not None and "\0" in source:
        raise CommandFailure(51109, "$regexMatch: regular expression cannot contain an embedded null byte")
    if not _OPTIONS.issuperset(letters):
        raise CommandFailure(51108, f"$regexMatch invalid flag in regex options: {letters}")
    return source, "".join(sorted(set(letters)))


REGEXES: Final[Operators] = {"$regexMatch": by_name(_match, _MATCH)}
