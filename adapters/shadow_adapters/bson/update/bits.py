"""``$bit``: and, or and xor of whole numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from bson.int64 import Int64

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.paths import MISSING
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.editor import Editor, Path
from shadow_adapters.bson.update.effect import Effect, Occasion, dotted
from shadow_adapters.failures import CommandFailure

_OPERATIONS: Final[dict[str, Callable[[int, int], int]]] = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}
_INT32: Final = 1 << 31


def bit(path: Path, argument: Any, collation: Collation) -> Effect:
    """``$bit``: the operations one after the other; a missing field is 0. A long makes the result one."""
    steps = _steps(argument)

    def effect(editor: Editor, path: Path, _: Occasion) -> None:
        current = editor.find(path)
        number = 0 if current is MISSING else current
        if not _is_whole(number):
            raise CommandFailure(
                2,
                "Cannot apply $bit to a value of non-integral type. "
                f"The field '{dotted(path)}' has the type {type_name(number)}",
            )
        long = isinstance(number, Int64) or any(isinstance(operand, Int64) for _, operand in steps)
        for operation, operand in steps:
            number = operation(int(number), int(operand))
        editor.put(path, Int64(number) if long or not -_INT32 <= number < _INT32 else number)

    return effect


def _steps(argument: Any) -> list[tuple[Callable[[int, int], int], int]]:
    if not isinstance(argument, Mapping):
        raise CommandFailure(
            2,
            f"The $bit modifier is not compatible with a {type_name(argument)}. You must pass in an embedded document: "
            "{$bit: {field: {and/or/xor: #}}",
        )
    if not argument:
        raise CommandFailure(
            2, "You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}"
        )
    for name, operand in argument.items():
        if name not in _OPERATIONS:
            raise CommandFailure(
                2, f"The $bit modifier only supports 'and', 'or', and 'xor', not '{name}' which is an unknown operator"
            )
        if not _is_whole(operand):
            raise CommandFailure(
                2, f"The $bit modifier field must be an Integer(32/64 bit); a '{type_name(operand)}' is not supported"
            )
    return [(_OPERATIONS[name], operand) for name, operand in argument.items()]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
