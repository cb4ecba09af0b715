"""Mistakes in the configuration, as people read them: where, what, of which type the value is, and the way out.

A value itself is never shown, whatever it is: a secret that was put in the wrong place is still a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    list: "an array",
    dict: "a table",
    type(None): "nothing",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``path`` is dotted, as in TOML; ``type`` is the value's type in words, empty where there is none."""

    path: str
    what: str
    fix: str
    type: str = ""

    def __str__(self) -> str:
        got = f" (got {self.type})" if self.type else ""
        return f"{self.path}: {self.what}{got}; {self.fix}"


class ConfigError(Exception):
    """The configuration cannot be used. The text lists every mistake with its path and its fix, and no value.

    Args:
        source: what was read, such as the file's path.
        problems: the mistakes, in the order of the file.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__("\n".join([f"{source} has {mistakes}:", *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)


def mistake(what: str, fix: str) -> PydanticCustomError:
    """An error for a validator to raise: what is wrong and the way out, without the value."""
    return PydanticCustomError("mistake", "{what}; {fix}", {"what": what, "fix": fix})


def type_in_words(value: Any) -> str:
    """The type of a value as the configuration's author would call it."""
    return _TYPES.get(type(value), f"a {type(value).__name__}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The way out of an unknown name: the nearest known one, else all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(names)}"


def from_validation(error: ValidationError, model: type[BaseModel], prefix: str) -> list[Problem]:
    """The problems of one section. ``prefix`` is the section's own path."""
    return [_from_details(details, model, prefix) for details in error.errors(include_url=False)]


def _from_details(details: ErrorDetails, model: type[BaseModel], prefix: str) -> Problem:
    loc = details["loc"]
    path = ".".join([prefix, *map(str, loc)])
    match details["type"]:
        case "missing":
            return Problem(path, "is missing", "add it")
        case "extra_forbidden":
            fix = did_you_mean(str(loc[-1]), _model_at(model, loc[:-1]).model_fields)
            return Problem(path, "is not a setting", fix)
        case "mistake":
            context = details["ctx"]
            return Problem(path, context["what"], context["fix"], type_in_words(details["input"]))
    rule = details["msg"].removeprefix("Input ")
    return Problem(path, "cannot be used", f"it {rule}", type_in_words(details["input"]))


def _model_at(model: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """The model of the table that a location lies in."""
    for name in loc:
        field = model.model_fields.get(str(name))
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return model
