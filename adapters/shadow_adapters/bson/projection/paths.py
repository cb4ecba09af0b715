"""The paths of projections and pipelines: which are allowed."""

from __future__ import annotations

from shadow_adapters.failures import CommandFailure

Path = tuple[str, ...]


def field_path(text: str) -> Path:
    """A dotted path as its parts. Raises `CommandFailure` for one that MongoDB does not take."""
    parts = tuple(text.split("."))
    if "" in parts:
        code = 40353 if text.endswith(".") else 40352 if not text else 15998
        raise CommandFailure(code, "FieldPath field names may not be empty strings.")
    for part in parts:
        check_field_name(part)
    return parts


def check_field_name(name: str) -> None:
    """Raises `CommandFailure` for what cannot be the name of one field in a pipeline: 15998, 16410, 16411, 16412."""
    if not name:
        raise CommandFailure(15998, "FieldPath field names may not be empty strings.")
    if name.startswith("$"):
        raise CommandFailure(
            16410, "FieldPath field names may not start with '$'. Consider using $getField or $setField."
        )
    if "\0" in name:
        raise CommandFailure(16411, "FieldPath field names may not contain '\0'.")
    if "." in name:
        raise CommandFailure(16412, "FieldPath field names may not contain '.'. Consider using $getField or $setField.")
