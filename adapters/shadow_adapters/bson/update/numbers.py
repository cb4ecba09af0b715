"""``$inc $mul $min $max``: a field's new value from its old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.order import compare
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.types import is_number, type_name
from shadow_adapters.bson.update.arithmetic import Arithmetic, Number, add, multiply
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import Effect, Occasion, dotted
from shadow_adapters.failures import CommandFailure


def inc(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$inc``: the sum; of a missing field, the argument."""
    return _computed("$inc", "increment", path, argument, add, lambda number: number)


def mul(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$mul``: the product; of a missing field, the argument times zero, which keeps its type."""
    return _computed("$mul", "multiply", path, argument, multiply, lambda number: multiply(number, 0))


def _computed(
    name: str, verb: str, path: Path, argument: Any, compute: Arithmetic, of_missing: Callable[[Number], Number | None]
) -> Effect:
    if not is_number(argument):
        raise CommandFailure(14, f"Cannot {verb} with non-numeric argument: '{dotted(path)}'")

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is MISSING:
            editor.put(path, of_missing(argument))
            return
        if not is_number(current):
            raise CommandFailure(
                14,
                f"Cannot apply {name} to a value of non-numeric type. The document has the field "
                f"'{dotted(path)}' of non-numeric type {type_name(current)}",
            )
        result = compute(current, argument)
        if result is None:
            raise CommandFailure(2, f"Failed to apply {name} operations to the current value of '{dotted(path)}'")
        editor.put(path, result)

    return effect


def min_(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$min``: the argument where it is below the value, in BSON's order, or the field is missing."""
    return _bounded(argument, -1, collation)


def max_(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$max``: the argument where it is above the value, in BSON's order, or the field is missing."""
    return _bounded(argument, 1, collation)


def _bounded(argument: Any, side: int, collation: Collation) -> Effect:
    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        if current is MISSING or compare(argument, current, collation) == side:
            editor.put(path, argument)

    return effect
