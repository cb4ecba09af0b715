"""The parts of a parsed pattern. ``source`` is what Python's `re` reads the same way as PCRE read the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one character; ``literal`` is that character where it is fixed."""

    source: str
    literal: str | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """A condition on the position, of no width."""

    source: str


@dataclass(frozen=True, slots=True)
class Look:
    """A look-around; ``opening`` is ``?=``, ``?!``, ``?<=`` or ``?<!``."""

    opening: str
    body: Node


@dataclass(frozen=True, slots=True)
class Group:
    """What the pattern captures, by its number from 1 on."""

    number: int
    body: Node


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``most`` None is without a bound."""

    body: Node
    least: int
    most: int | None
    lazy: Literal["", "?"]


Node = One | Here | Look | Group | Sequence | Choice | Repeat


def source(node: Node) -> str:
    """The pattern for Python's `re`."""
    if isinstance(node, One | Here):
        return node.source
    if isinstance(node, Look):
        return f"({node.opening}{source(node.body)})"
    if isinstance(node, Group):
        return f"({source(node.body)})"
    if isinstance(node, Sequence):
        return "".join(map(source, node.parts))
    if isinstance(node, Choice):
        return "(?:" + "|".join(map(source, node.branches)) + ")"
    most = "" if node.most is None else node.most
    return f"(?:{source(node.body)}){{{node.least},{most}}}{node.lazy}"
