"""What an expression compiles to: a function of a scope.

A scope holds every variable by its name: ``ROOT`` and ``CURRENT``, the system's, and the caller's own. Operators that
bind variables copy it. Values that an expression returns may be shared with its literals and with the document: they
are not to be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.paths import MISSING
from shadow_adapters.failures import CommandFailure

Scope = dict[str, Any]
Code = Callable[[Scope], Any]

_NO_VARIABLES: Final[Mapping[str, Any]] = {}
_EFFORT: Final = ""
"""The name of a scope's count of what is left to be done; no variable has an empty name."""
_MOST: Final = 2_000_000  # a second or two


class Expression:
    """A compiled expression.

    Attributes:
        run: from a scope to the value, `MISSING` where there is none. Raises `CommandFailure`.
        constant: whether it has no field path, no variable, and nothing random.
        field: the one field of the document that it is, if it is no more: such a one needs no scope.
    """

    __slots__ = ("constant", "field", "run")

    def __init__(self, run: Code, *, constant: bool = False, field: str | None = None) -> None:
        self.run = run
        self.constant = constant
        self.field = field

    def evaluate(self, document: Mapping[str, Any], variables: Mapping[str, Any] = _NO_VARIABLES) -> Any:
        """The value over a document, or `MISSING`; it may be shared and is not to be changed.

        Args:
            variables: values by name, without dollars: the caller's own, and ``NOW``, the command's moment.

        Raises `CommandFailure` with MongoDB's code for values that an operator does not take.
        """
        if self.field is not None and type(document) is dict:
            return document.get(self.field, MISSING)
        if self.constant:
            return self.run({_EFFORT: [_MOST]})
        return self.run({**variables, "ROOT": document, "CURRENT": document, _EFFORT: [_MOST]})


def literal(value: Any) -> Expression:
    """The expression that is always this value."""
    return Expression(lambda _: value, constant=True)


def folded(run: Code, *, constant: bool) -> Expression:
    """An expression; a constant one is computed now, unless that fails, which is then told when it is evaluated."""
    if not constant:
        return Expression(run)
    try:
        return literal(run({_EFFORT: [_MOST]}))
    except CommandFailure:
        return Expression(run, constant=True)


def applied(function: Callable[..., Any], operands: Sequence[Expression]) -> Expression:
    """A function of the operands' values, all of which it needs."""
    runs = [operand.run for operand in operands]
    constant = all(operand.constant for operand in operands)
    if len(runs) == 1:
        only = runs[0]
        return folded(lambda scope: function(only(scope)), constant=constant)
    if len(runs) == 2:
        first, second = runs
        return folded(lambda scope: function(first(scope), second(scope)), constant=constant)
    return folded(lambda scope: function(*[run(scope) for run in runs]), constant=constant)


def spend(scope: Scope, steps: int) -> None:
    """Count steps of a loop. Raises `CommandFailure` 50 where one evaluation takes too many of them."""
    left: list[int] = scope[_EFFORT]
    left[0] -= steps
    if left[0] < 0:
        raise CommandFailure(50, "operation exceeded time limit")


def present(value: Any) -> Any:
    """The value, null in the place of a missing one, as an array holds it."""
    return None if value is MISSING else value
