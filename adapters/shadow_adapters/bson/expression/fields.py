"""Field paths and variables.

A path in an expression is not one in a filter: an array on the way gives the array of what its documents have, and a
number is a field's name, never an index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from shadow_adapters.bson.expression.node import Expression, Scope, literal
from shadow_adapters.bson.paths import MISSING, as_document
from shadow_adapters.failures import CommandFailure

_FAILED_TO_PARSE: Final = 9
_MAX_DEPTH: Final = 200
_UNAVAILABLE: Final = frozenset(("NOW", "CLUSTER_TIME", "USER_ROLES"))
"""System variables that have a value only where the caller gives one."""


def field_path(path: str) -> Expression:
    """``$a.b`` without its dollar. Raises `CommandFailure` for a path that MongoDB refuses."""
    if not path:
        raise CommandFailure(16872, "'$' by itself is not a valid FieldPath")
    return _read("CURRENT", _parts(path))


def variable_path(path: str, names: Collection[str]) -> Expression:
    """``$$name.a.b`` without its dollars. Raises `CommandFailure`, 17276 for a variable that is not in scope."""
    name, dot, rest = path.partition(".")
    if name not in names:
        check_variable_name(name, reading=True)
        raise CommandFailure(17276, f"Use of undefined variable: {name}")
    parts = _parts(rest) if dot else ()
    if name == "REMOVE":
        return literal(MISSING)
    return _read_system(name, parts) if name in _UNAVAILABLE else _read(name, parts)


def check_variable_name(name: str, *, reading: bool = False) -> None:
    """Raises `CommandFailure` 9 for a name that a caller's variable cannot have; others can be read than written."""
    if not name:
        raise CommandFailure(_FAILED_TO_PARSE, "empty variable names are not allowed")
    if name == "CURRENT":
        return
    first = name[0]
    if not ("a" <= first <= "z" or not first.isascii() or (reading and "A" <= first <= "Z")):
        raise CommandFailure(_FAILED_TO_PARSE, f"'{name}' starts with an invalid character for a user variable name")
    for letter in name:
        if letter.isascii() and not letter.isalnum() and letter != "_":
            raise CommandFailure(
                _FAILED_TO_PARSE, f"'{name}' contains an invalid character for a variable name: '{letter}'"
            )


def check_field_name(name: str) -> None:
    """Raises `CommandFailure` for a name that a field of an object expression cannot have."""
    _check_part(name)
    if "." in name:
        raise CommandFailure(16412, "FieldPath field names may not contain '.'. Consider using $getField or $setField.")


def _parts(path: str) -> tuple[str, ...]:
    if path.endswith("."):
        raise CommandFailure(40353, "FieldPath must not end with a '.'.")
    parts = tuple(path.split("."))
    if len(parts) > _MAX_DEPTH:
        raise CommandFailure(15, "FieldPath is too long")
    for part in parts:
        _check_part(part)
    return parts


def _check_part(part: str) -> None:
    if not part:
        raise CommandFailure(15998, "FieldPath field names may not be empty strings.")
    if part.startswith("$"):
        raise CommandFailure(
            16410, "FieldPath field names may not start with '$'. Consider using $getField or $setField."
        )
    if "\0" in part:
        raise CommandFailure(16411, "FieldPath field names may not contain null bytes.")


def _read(name: str, parts: tuple[str, ...]) -> Expression:
    if not parts:
        return Expression(lambda scope: scope.get(name, MISSING))
    if len(parts) == 1:
        field = parts[0]
        return Expression(
            lambda scope: (
                follow(scope.get(name, MISSING), parts)
                if type(scope.get(name)) is not dict
                else scope[name].get(field, MISSING)
            ),
            field=field if name in ("ROOT", "CURRENT") else None,
        )
    return Expression(lambda scope: follow(scope.get(name, MISSING), parts))


def _read_system(name: str, parts: tuple[str, ...]) -> Expression:
    def run(scope: Scope) -> Any:
        if name not in scope:
            raise CommandFailure(51144, f"Builtin variable '$${name}' is not available")
        return follow(scope[name], parts)

    return Expression(run)


def follow(value: Any, parts: tuple[str, ...]) -> Any:
    """What the path leads to from a value: of an array, the array of what its documents have."""
    for position, part in enumerate(parts):
        if isinstance(value, list):
            return _through(value, parts[position:])
        document: Mapping[str, Any] | None = None if value is MISSING else as_document(value)
        if document is None:
            return MISSING
        value = document.get(part, MISSING)
    return value


def _through(array: list[Any], parts: tuple[str, ...]) -> list[Any]:
    found = [follow(item, parts) for item in array if not isinstance(item, list)]
    return [value for value in found if value is not MISSING]
