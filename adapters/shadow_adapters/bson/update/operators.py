"""The table of update operators, and compiling an update document with it.

A new operator is one function in its family's file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shadow_adapters.bson.collation import Collation
from shadow_adapters.bson.types import type_name
from shadow_adapters.bson.update.arrays import add_to_set, pop, pull, pull_all
from shadow_adapters.bson.update.bits import bit
from shadow_adapters.bson.update.editor import Path
from shadow_adapters.bson.update.effect import Effect, Operator, dotted
from shadow_adapters.bson.update.fields import current_date, rename, set_, set_on_insert, unset
from shadow_adapters.bson.update.numbers import inc, max_, min_, mul
from shadow_adapters.bson.update.paths import application_order, check_conflicts, parse_path
from shadow_adapters.bson.update.positional import Filters, check_positional, check_used, is_dynamic
from shadow_adapters.bson.update.push import push
from shadow_adapters.failures import CommandFailure

OPERATORS: Final[dict[str, Operator]] = {
    "$addToSet": add_to_set,
    "$bit": bit,
    "$currentDate": current_date,
    "$inc": inc,
    "$max": max_,
    "$min": min_,
    "$mul": mul,
    "$pop": pop,
    "$pull": pull,
    "$pullAll": pull_all,
    "$push": push,
    "$set": set_,
    "$setOnInsert": set_on_insert,
    "$unset": unset,
}
"""All but ``$rename``, whose argument is a path of its own."""

Change = tuple[Path, Effect]
"""An effect, and where it is to be had."""


def compile_operators(update: Mapping[str, Any], filters: Filters, collation: Collation) -> list[Change]:
    """The changes of an update document. Raises `CommandFailure`."""
    changes: list[Change] = []
    touched: list[Path] = []
    for name, fields in update.items():
        if name != "$rename" and name not in OPERATORS:
            raise CommandFailure(
                9,
                f"Unknown modifier: {name}. Expected a valid update modifier or pipeline-style update "
                "specified as an array",
                unsupported=name if name.startswith("$") else None,
            )
        if not isinstance(fields, Mapping):
            raise CommandFailure(
                9,
                f"Modifiers operate on fields but we found type {type_name(fields)} instead. "
                f"For example: {{$mod: {{<field>: ...}}}} not {{{name}: {type_name(fields)}}}",
            )
        for text, argument in fields.items():
            path = parse_path(text)
            touched.append(path)
            if name == "$rename":
                destination = _destination(text, argument)
                touched.append(destination)
                changes.append((destination, rename(path)))
            else:
                changes.append((path, OPERATORS[name](path, argument, collation)))
    check_used(filters, frozenset().union(*(check_positional(path, filters) for path in touched)))
    return ordered(changes, touched)


def ordered(changes: Sequence[Change], touched: Sequence[Path]) -> list[Change]:
    """The changes in the order in which MongoDB applies them. Raises `CommandFailure` 40 where paths conflict."""
    check_conflicts(touched)
    return sorted(changes, key=lambda change: application_order(change[0]))


def _destination(source: str, argument: Any) -> Path:
    if not isinstance(argument, str):
        raise CommandFailure(2, f"The 'to' field for $rename must be a string: {source}")
    if argument == source:
        raise CommandFailure(2, f"The source and target field for $rename must differ: {source}")
    if argument.startswith(source + ".") or source.startswith(argument + "."):
        raise CommandFailure(2, f"The source and target field for $rename must not be on the same path: {source}")
    destination = parse_path(argument)
    for what, path in (("source", parse_path(source)), ("destination", destination)):
        if is_dynamic(path):
            raise CommandFailure(2, f"The {what} field for $rename may not be dynamic: {dotted(path)}")
    return destination
