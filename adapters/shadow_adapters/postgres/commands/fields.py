"""Reading a command document's fields: what is served, what may be ignored, what is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shadow_adapters.bson.collation import Collation, compile_collation
from shadow_adapters.bson.expression import evaluate_let
from shadow_adapters.bson.match.text import uses_text
from shadow_adapters.failures import CommandFailure
from shadow_adapters.postgres.call import Call

_ALWAYS: Final = frozenset(
    (
        "$db",
        "lsid",
        "txnNumber",
        "autocommit",
        "startTransaction",
        "$clusterTime",
        "$readPreference",
        "comment",
        "maxTimeMS",
        "readConcern",
        "writeConcern",
        "apiVersion",
        "apiStrict",
        "apiDeprecationErrors",
        "hint",
    )
)
"""What the wire adds to a command, and what says how to run it, not what to do."""

_EMPTY: Final[tuple[Any, ...]] = (None, False, [], {})


def check_fields(command: Mapping[str, Any], where: str, served: frozenset[str], refused: frozenset[str]) -> None:
    """Raises `CommandFailure` for a field that is not served, unless its value asks for nothing.

    Args:
        where: name of the command or statement, as MongoDB's messages have it (``update.updates``).
        served: fields that the command reads, or may ignore without changing what it answers.
        refused: fields that MongoDB has and this store does not serve (code 72); all others are unknown (40415).
    """
    for name, value in command.items():
        if name in served or name in _ALWAYS:
            continue
        if name not in refused:
            raise CommandFailure(40415, f"BSON field '{where}.{name}' is an unknown field.", unsupported=name)
        if not any(value is empty or value == empty for empty in _EMPTY):
            raise CommandFailure(72, f"option {name} of {where} is not served", unsupported=f"{where} {name}")


def collation_of(command: Mapping[str, Any]) -> Collation:
    """How texts compare in a command or a statement. Raises `CommandFailure`."""
    return compile_collation(command.get("collation"))


def variables_of(call: Call, command: Mapping[str, Any]) -> dict[str, Any]:
    """What a command's expressions may use: the variables of its ``let``, and ``NOW``. Raises `CommandFailure`."""
    return evaluate_let(command.get("let"), {"NOW": call.now})


def whole_number(command: Mapping[str, Any], name: str) -> int:
    """A count such as ``limit``: an integer that is not negative, 0 where it is missing. Raises `CommandFailure`."""
    value = command.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise CommandFailure(14, f"Field '{name}' must be a whole number")
    if value < 0:
        raise CommandFailure(51024, f"BSON field '{name}' value must be >= 0, actual value '{value}'")
    return int(value)


def document(command: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field that is a document, empty where it is missing. Raises `CommandFailure` 14."""
    value = command.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CommandFailure(14, f"Expected field {name} to be of type object")
    return value


def searches(command: Mapping[str, Any]) -> bool:
    """Whether a command, which need not be well formed, has a ``$text``."""
    inner = command.get("explain", command)
    filters = _filters(inner) if isinstance(inner, Mapping) else ()
    return any(isinstance(filter, Mapping) and uses_text(filter) for filter in filters)


def _filters(command: Mapping[str, Any]) -> Iterator[Any]:
    """What stands where a command has filters. Asked of every command, so no more than is there is looked at."""
    for name in ("filter", "query", "q"):
        if name in command:
            yield command[name]
    for name, field in (("updates", "q"), ("deletes", "q"), ("pipeline", "$match")):
        among = command.get(name)
        if isinstance(among, list | tuple):
            first = among[:1] if name == "pipeline" else among
            yield from (each.get(field) for each in first if isinstance(each, Mapping))
