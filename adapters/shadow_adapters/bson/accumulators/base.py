"""What an accumulator is, and those that take the value of one expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from shadow_adapters.bson.expression.compiler import Compiler
from shadow_adapters.bson.expression.node import Expression
from shadow_adapters.bson.expression.totals import State
from shadow_adapters.failures import CommandFailure


class Accumulator(Protocol):
    """Gathers one value from documents."""

    def add(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        """Take a document. Raises `CommandFailure`."""

    def result(self) -> Any:
        """The value so far; null where there is none."""


Factory = Callable[[], Accumulator]
Maker = Callable[[str, Any, Compiler], Factory]
"""Compiles an accumulator: its name, its argument, the compiler of expressions."""


class Fed:
    """Feeds a state with the value of an expression."""

    __slots__ = ("_expression", "_state")

    def __init__(self, expression: Expression, state: State) -> None:
        self._expression = expression
        self._state = state

    def add(self, document: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        self._state.take(self._expression.evaluate(document, variables))

    def result(self) -> Any:
        return self._state.result()


def fed(state: Callable[[], State]) -> Maker:
    """The accumulator of a state that takes one expression."""

    def maker(name: str, argument: Any, compiler: Compiler) -> Factory:
        if isinstance(argument, list | tuple):
            if len(argument) != 1:
                raise CommandFailure(40237, f"The {name} accumulator is a unary operator")
            argument = argument[0]
        expression = compiler.compile(argument)
        return lambda: Fed(expression, state())

    return maker
