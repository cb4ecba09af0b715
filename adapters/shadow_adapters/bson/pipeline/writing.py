"""``$out`` and ``$merge``: where the result of a pipeline is to be written, and how.

They are read here as MongoDB 8 reads them; whoever runs the pipeline writes. No store can write by itself what may
belong to another collection, so that as a stage each is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from shadow_adapters.bson.expression import Expression, check_variable_name, compile_expression
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.projection.paths import field_path
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

INSERT, DISCARD, FAIL = "insert", "discard", "fail"
REPLACE, MERGE, KEEP, PIPELINE = "replace", "merge", "keepExisting", "pipeline"
NEW: Final = "new"
"""The variable that holds the document to be merged."""

_MODES: Final = {
    REPLACE: (INSERT, FAIL, DISCARD),
    MERGE: (INSERT, FAIL, DISCARD),
    PIPELINE: (INSERT, FAIL, DISCARD),
    KEEP: (INSERT,),
    FAIL: (INSERT,),
}
"""What goes together: ``whenMatched``, and the values of ``whenNotMatched``."""
_MERGE: Final = ("into", "on", "let", "whenMatched", "whenNotMatched")
_INTERNAL: Final = ("admin", "config", "local")
_FORBIDDEN_INSIDE: Final = {"$lookup": 51047, "$unionWith": 31441, "$facet": 40600}


@dataclass(frozen=True, slots=True)
class Place:
    """A collection."""

    database: str
    collection: str


@dataclass(frozen=True, slots=True)
class Out:
    """A ``$out``: the place gets the result instead of what it has."""

    place: Place


@dataclass(frozen=True, slots=True)
class Merge:
    """A ``$merge``.

    Attributes:
        on: the fields by which a document finds the one that it is merged with, None where the stage says none.
        matched: ``whenMatched``: `REPLACE`, `MERGE`, `KEEP`, `FAIL` or `PIPELINE`.
        not_matched: ``whenNotMatched``: `INSERT`, `DISCARD` or `FAIL`.
        pipeline: the update of `PIPELINE`.
        let: its variables, over the document to be merged.
    """

    place: Place
    on: tuple[str, ...] | None
    matched: str
    not_matched: str
    pipeline: Sequence[Any]
    let: Mapping[str, Expression]


def last_stage(pipeline: Any, database: str, names: Collection[str]) -> Out | Merge:
    """The last stage of a pipeline, which writes.

    Args:
        database: the pipeline's, where the stage names none.
        names: variables in sight.

    Raises `CommandFailure` as MongoDB: 40323, and as `check_last`, `parse_out` and `parse_merge`.
    """
    check_last(pipeline)
    stage = pipeline[-1]
    if len(stage) != 1:
        raise CommandFailure(40323, "A pipeline stage specification object must contain exactly one field.")
    if "$out" in stage:
        return parse_out(stage["$out"], database)
    return parse_merge(stage["$merge"], database, names)


def parse_out(spec: Any, database: str) -> Out:
    """A ``$out``: a name, or ``{db, coll}``. Raises `CommandFailure` 16990, 40414, 40415, 14, 73, 17385, 31321."""
    if isinstance(spec, str):
        place = Place(database, spec)
    elif isinstance(spec, Mapping):
        if "timeseries" in spec:
            raise CommandFailure(115, "$out into a time series is not served", unsupported="$out timeseries")
        _check_fields("$out", spec, ("db", "coll"))
        for field in ("coll", "db"):
            if field not in spec:
                raise CommandFailure(40414, f"BSON field '$out.{field}' is missing but a required field")
        place = Place(_string("$out.db", spec["db"]), _string("$out.coll", spec["coll"]))
    else:
        raise CommandFailure(16990, f"$out only supports a string or object argument, but found {type_name(spec)}")
    if not _is_valid(place):
        raise CommandFailure(73, f"Invalid $out target namespace, {_shown(place)}")
    if place.collection.startswith("system."):
        raise CommandFailure(17385, f"Can't $out to special collection: {place.collection}")
    if place.database in _INTERNAL:
        raise CommandFailure(31321, f"Can't $out to internal database: {place.database}")
    return Out(place)


def parse_merge(spec: Any, database: str, names: Collection[str]) -> Merge:
    """A ``$merge``: a name, or ``{into, on, let, whenMatched, whenNotMatched}``.

    Raises `CommandFailure`: 14, 40414, 40415, 51178, 5786800 and 5786801 for ``into``; 51186, 51134, 51187 and 31465
    for ``on``; 51191 and 2 for what is done; 51181 for what does not go together; 51199 and 51273 for ``let``; 73,
    31319 and 31320 for the place.
    """
    if isinstance(spec, str):
        options: Mapping[str, Any] = {}
        place = Place(database, spec)
    elif isinstance(spec, Mapping):
        options = spec
        _check_fields("$merge", spec, _MERGE)
        if "into" not in spec:
            raise CommandFailure(40414, "BSON field '$merge.into' is missing but a required field")
        place = _into(spec["into"], database)
    else:
        raise CommandFailure(14, f"$merge requires a string or object argument, but found {type_name(spec)}")
    on = _on(options["on"]) if "on" in options else None
    matched = _when_matched(options.get("whenMatched", MERGE))
    not_matched = _when_not_matched(options.get("whenNotMatched", INSERT))
    let = options.get("let")
    if "let" in options and not isinstance(let, Mapping):
        raise CommandFailure(
            14, f"BSON field '$merge.let' is the wrong type '{type_name(let)}', expected type 'object'"
        )
    if not _is_valid(place):
        raise CommandFailure(73, f"Invalid $merge target namespace: '{_shown(place)}'")
    if not_matched not in _MODES[matched]:
        raise CommandFailure(
            51181,
            f"Combination of $merge modes 'whenMatched: {matched}' and 'whenNotMatched: {not_matched}' is not "
            "supported",
        )
    _check_on(on)
    if place.collection.startswith("system."):
        raise CommandFailure(31319, f"Cannot $merge to special collection: {place.collection}")
    if place.database in _INTERNAL:
        raise CommandFailure(31320, f"Cannot $merge to internal database: {place.database}")
    pipeline = options["whenMatched"] if matched == PIPELINE else ()
    return Merge(place, on, matched, not_matched, pipeline, _let(let, matched, names))


def check_last(stages: Sequence[Any]) -> None:
    """Raises `CommandFailure` 40601 for a stage that writes and is not the last."""
    for stage in stages[:-1]:
        name = next(iter(stage), None) if isinstance(stage, Mapping) else None
        if name in ("$out", "$merge"):
            raise CommandFailure(40601, f"{name} can only be the final stage in the pipeline")


def refuse_out(name: str, spec: Any, scope: Scope) -> NoReturn:
    """``$out`` as a stage. Raises `CommandFailure` 51047, 31441 inside of another one, as `parse_out`, else 115."""
    _check_place(name, scope)
    parse_out(spec, "db")
    _refuse(name)


def refuse_merge(name: str, spec: Any, scope: Scope) -> NoReturn:
    """``$merge`` as a stage. Raises as `refuse_out`, and as `parse_merge`."""
    _check_place(name, scope)
    parse_merge(spec, "db", scope.names)
    _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise CommandFailure(115, f"aggregation stage {name} is not served here", unsupported=f"aggregate {name}")


def _check_place(name: str, scope: Scope) -> None:
    code = _FORBIDDEN_INSIDE.get(scope.inside)
    if code is not None:
        raise CommandFailure(code, f"{name} is not allowed within a {scope.inside}'s sub-pipeline")


def _check_fields(name: str, spec: Mapping[str, Any], known: Sequence[str]) -> None:
    for field in spec:
        if field not in known:
            raise CommandFailure(40415, f"BSON field '{name}.{field}' is an unknown field.")


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CommandFailure(14, f"BSON field '{name}' is the wrong type '{type_name(value)}', expected type 'string'")
    return value


def _is_valid(place: Place) -> bool:
    """Whether a collection may have this name."""
    database, collection = place.database, place.collection
    if not database or any(letter in database for letter in '/\\. "$\0'):
        return False
    return bool(collection) and "\0" not in collection and "$" not in collection and not collection.startswith(".")


def _shown(place: Place) -> str:
    return f"{place.database}.{place.collection}" if place.collection else place.database


def _into(into: Any, database: str) -> Place:
    if isinstance(into, str):
        if not into:
            raise CommandFailure(5786800, "$merge 'into' field cannot be an empty string")
        return Place(database, into)
    if not isinstance(into, Mapping):
        raise CommandFailure(
            51178, f"$merge 'into' field  must be either a string or an object, but found {type_name(into)}"
        )
    _check_fields("into", into, ("db", "coll"))
    collection = _string("into.coll", into["coll"]) if into.get("coll") is not None else ""
    if not collection:
        raise CommandFailure(5786801, "$merge 'into' field must specify a 'coll' that is not empty, null or undefined")
    named = _string("into.db", into["db"]) if into.get("db") is not None else ""
    return Place(named or database, collection)


def _on(on: Any) -> tuple[str, ...]:
    if isinstance(on, str):
        return (on,)
    if not isinstance(on, list | tuple):
        raise CommandFailure(
            51186, f"$merge 'on' field  must be either a string or an array of strings, but found {type_name(on)}"
        )
    for field in on:
        if not isinstance(field, str):
            raise CommandFailure(51134, f"$merge 'on' array elements must be strings, but found {type_name(field)}")
    if not on:
        raise CommandFailure(51187, "If explicitly specifying $merge 'on', must include at least one field")
    return tuple(on)


def _check_on(on: Sequence[str] | None) -> None:
    for position, field in enumerate(on or ()):
        field_path(field)
        if field in (on or ())[:position]:
            raise CommandFailure(31465, f"Found a duplicate field '{field}'")


def _when_matched(value: Any) -> str:
    if isinstance(value, list | tuple):
        for stage in value:
            if not isinstance(stage, Mapping):
                raise CommandFailure(14, "Each element of the 'pipeline' array must be an object")
        return PIPELINE
    if not isinstance(value, str):
        raise CommandFailure(
            51191, f"$merge 'whenMatched' field  must be either a string or an array, but found {type_name(value)}"
        )
    if value not in _MODES or value == PIPELINE:
        raise _no_value("whenMatched", value)
    return value


def _when_not_matched(value: Any) -> str:
    text = _string("$merge.whenNotMatched", value)
    if text not in (INSERT, DISCARD, FAIL):
        raise _no_value("$merge.whenNotMatched", text)
    return text


def _no_value(field: str, value: str) -> CommandFailure:
    return CommandFailure(2, f"Enumeration value '{value}' for field '{field}' is not a valid value.")


def _let(let: Mapping[str, Any] | None, matched: str, names: Collection[str]) -> dict[str, Expression]:
    if matched != PIPELINE:
        if let is not None:
            raise CommandFailure(51199, f"Cannot use 'let' variables with 'whenMatched: {matched}' mode")
        return {}
    given = {NEW: "$$ROOT"} if let is None else {**let, NEW: let.get(NEW, "$$ROOT")}
    if given[NEW] != "$$ROOT":
        raise CommandFailure(51273, "'let' may not define a value for the reserved 'new' variable other than '$$ROOT'")
    for name in given:
        check_variable_name(name)
    return {name: compile_expression(value, names) for name, value in given.items()}
