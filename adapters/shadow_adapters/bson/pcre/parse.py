"""From PCRE's syntax to `nodes`; what is not read here with certainty is refused by name."""

from __future__ import annotations

import re
from typing import Final, Literal, NoReturn

from shadow_adapters.bson.pcre.nodes import Choice, Group, Here, Look, Node, One, Repeat, Sequence
from shadow_adapters.bson.pcre.properties import is_cased, ranges_of
from shadow_adapters.failures import CommandFailure

_CLASSES: Final = {letter: rf"(?a:\{letter})" for letter in "dDwWsS"}  # PCRE's are ASCII without (*UCP)
_RANGES: Final = {
    "d": "0-9",
    "D": r"\x00-/:-\U0010ffff",
    "w": "0-9A-Z_a-z",
    "W": r"\x00-/:-@\[-\^`\{-\U0010ffff",
    "s": r"\t-\r\x20",
    "S": r"\x00-\x08\x0e-\x1f!-\U0010ffff",
}
_HERE: Final = {"b": r"(?a:\b)", "B": r"(?a:\B)", "A": r"\A", "Z": r"(?=\n?\Z)"}
_CHARACTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "a": "\a", "e": "\x1b"}
_HEX: Final = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{1,2}))")
_PROPERTY: Final = re.compile(r"([pP])(?:\{(\^?)([A-Za-z&_ ]+)\}|([A-Za-z]))")
_COUNT: Final = re.compile(r"\{(\d{1,5})(,(\d{1,5})?)?\}", re.ASCII)
_FLAGS: Final = re.compile(r"\(\?([imsx]+)\)")
_GROUP: Final = re.compile(r"\((?!\?|\*)|\(\?:|\(\?P?<[A-Za-z_]\w*>", re.ASCII)
_LOOK: Final = re.compile(r"\((\?<?[=!])")
_SPACE: Final = re.compile(r"(?:[ \t-\r]|#[^\n]*(?:\n|\Z))+")
_COMMENT: Final = re.compile(r"\(\?#[^)]*\)")
_MAX_GROUPS: Final = 100


def refuse(feature: str) -> NoReturn:
    """Raises the refusal of a feature by name."""
    raise CommandFailure(2, f"regular expression feature not served: {feature}", unsupported=f"$regex {feature}")


def invalid(why: str) -> NoReturn:
    """Raises MongoDB's error for a pattern that PCRE refuses as well."""
    raise CommandFailure(51091, f"Regular expression is invalid: {why}")


class Parsed:
    """A parsed pattern and the flags that Python needs beside it; ``groups``: how many it captures."""

    def __init__(self, pattern: str, options: str) -> None:
        leading = _FLAGS.match(pattern)
        if leading is not None:
            options, pattern = options + leading[1], pattern[leading.end() :]
        self.multiline = "m" in options
        self.flags = sum(flag for letter, flag in (("i", re.I), ("m", re.M), ("s", re.S)) if letter in options)
        parser = _Parser(pattern, extended="x" in options, caseless="i" in options)
        self.node: Node = parser.whole()
        self.groups = parser.groups


class _Parser:
    """Recursive descent over the text of one pattern."""

    def __init__(self, text: str, *, extended: bool, caseless: bool) -> None:
        self.text = text
        self.caseless = caseless
        self.at = 0
        self.depth = 0
        self.groups = 0
        self.ignored = re.compile(f"(?:{_COMMENT.pattern}|{_SPACE.pattern})+") if extended else _COMMENT

    def whole(self) -> Node:
        node = self._choice()
        if self.at < len(self.text):
            invalid("unmatched closing parenthesis")
        return node

    def _choice(self) -> Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            atom = self._atom()
            parts.append(self._quantified(atom))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _peek(self) -> str:
        while (skipped := self.ignored.match(self.text, self.at)) is not None:
            self.at = skipped.end()
        return self.text[self.at : self.at + 1]

    def _atom(self) -> Node:
        char = self.text[self.at]
        if char == "(":
            return self._group()
        self.at += 1
        if char == "[":
            return One(self._set())
        if char == "\\":
            return self._escape()
        if char == ".":
            return One(".")
        if char in "^$":
            return Here(char)
        if char in "*+?":
            invalid("quantifier does not follow a repeatable item")
        return _literal(char)

    def _group(self) -> Node:
        self.depth += 1
        if self.depth > _MAX_GROUPS:
            refuse("deeply nested groups")
        look = _LOOK.match(self.text, self.at)
        opening = look or _GROUP.match(self.text, self.at)
        if opening is None:
            refuse(f"group {self.text[self.at : self.at + 3]}")
        self.at = opening.end()
        captures = look is None and opening[0] != "(?:"
        self.groups += captures
        number = self.groups
        body = self._choice()
        if self._peek() != ")":
            invalid("missing closing parenthesis")
        self.at += 1
        self.depth -= 1
        if look is not None:
            return Look(look[1], body)
        return Group(number, body) if captures else Sequence((body,))

    def _quantified(self, atom: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return atom
        if isinstance(atom, Here | Look):
            refuse("quantified assertion")
        lazy: Literal["", "?"] = ""
        if self._next_is("?"):
            lazy = "?"
        elif self._next_is("+"):
            refuse("possessive quantifier")
        if self._bounds() is not None:
            invalid("quantifier does not follow a repeatable item")
        return Repeat(atom, *bounds, lazy)

    def _next_is(self, char: str) -> bool:
        found = self.text.startswith(char, self.at)
        self.at += found
        return found

    def _bounds(self) -> tuple[int, int | None] | None:
        char = self._peek()
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char)
        if simple is not None:
            self.at += 1
            return simple
        count = _COUNT.match(self.text, self.at)
        if count is None:
            if self.text.startswith("{,", self.at):
                refuse("quantifier {,n}")  # a quantifier in Python and new PCRE, plain text in older ones
            return None
        self.at = count.end()
        least = int(count[1])
        most = least if count[2] is None else (None if count[3] is None else int(count[3]))
        if most is not None and most < least:
            invalid("numbers out of order in {} quantifier")
        return least, most

    def _escape(self) -> Node:
        letter = self.text[self.at : self.at + 1]
        if letter in _CLASSES and letter:
            self.at += 1
            return One(_CLASSES[letter])
        if letter in _HERE and letter:
            self.at += 1
            return Here(_HERE[letter])
        if letter in ("p", "P"):
            return One(f"(?-i:[{self._property()}])")
        return _literal(self._escaped_character())

    def _property(self) -> str:
        """The ranges of a Unicode property, after the backslash."""
        asked = _PROPERTY.match(self.text, self.at)
        if asked is None:
            invalid("malformed \\P or \\p sequence")
        letter, caret, long, short = asked.groups()
        ranges = ranges_of(long or short, negated=(letter == "P") is not bool(caret))
        if ranges is None:
            refuse(f"\\p{{{long or short}}}")
        self.at = asked.end()
        return ranges

    def _escaped_character(self) -> str:
        letter = self.text[self.at : self.at + 1]
        if not letter:
            invalid("\\ at end of pattern")
        hexadecimal = _HEX.match(self.text, self.at)
        if hexadecimal is not None:
            self.at = hexadecimal.end()
            return _character(int(hexadecimal[1] or hexadecimal[2], 16))
        self.at += 1
        if letter in _CHARACTERS:
            return _CHARACTERS[letter]
        if letter.isascii() and letter.isalnum():
            refuse(f"\\{letter}")
        return letter

    def _set(self) -> str:
        """The rest of a character class; every literal is escaped, so that Python sees no set operations."""
        parts = ["[^" if self._next_is("^") else "["]
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                invalid("missing terminating ] for character class")
            parts.append(self._set_item())
            first = False
        self.at += 1
        return "".join(parts) + "]"

    def _set_item(self) -> str:
        low = self._set_member()
        if low is None:
            if self.text[self.at + 1] in "pP":
                return self._set_property()
            self.at += 2
            return _RANGES[self.text[self.at - 1]]
        is_range = self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in ("]", "")
        if not is_range:
            return re.escape(low)
        self.at += 1
        high = self._set_member()
        if high is None:  # a hyphen before a class is a hyphen
            return re.escape(low) + r"\-"
        if high < low:
            invalid("range out of order in character class")
        return f"{re.escape(low)}-{re.escape(high)}"

    def _set_property(self) -> str:
        self.at += 1
        begun = self.at
        ranges = self._property()
        named = self.text[begun + 1 : self.at].strip("{^}")
        if self.caseless and is_cased(named):  # Python would look at the whole class without regard to case
            refuse(f"[\\p{{{named}}}] without regard to case")
        return ranges

    def _set_member(self) -> str | None:
        """One character of a class; None, consuming nothing, before one of the escapes that are classes."""
        char = self.text[self.at]
        if char == "[" and self.text[self.at + 1 : self.at + 2] in (":", ".", "="):
            refuse("POSIX character class")
        if char != "\\":
            self.at += 1
            return char
        letter = self.text[self.at + 1 : self.at + 2]
        if letter and (letter in _RANGES or letter in "pP"):
            return None
        self.at += 1
        if letter == "b":
            self.at += 1
            return "\b"
        return self._escaped_character()


def _character(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        invalid("character code point value in \\x{} is too large")
    return chr(code)


def _literal(char: str) -> One:
    return One(re.escape(char), char)
