"""``$fill``: null and missing fields are given values, by ``$setWindowFields`` and ``$addFields`` in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadow_adapters.bson.pipeline.flow import Chain, Stage
from shadow_adapters.bson.pipeline.scope import Scope
from shadow_adapters.bson.types import type_name
from shadow_adapters.failures import CommandFailure

_OPTIONS: Final = ("partitionBy", "partitionByFields", "sortBy", "output")
_METHODS: Final = {"locf": "$locf", "linear": "$linearFill"}
_TYPE_MISMATCH: Final = 14


def fill(name: str, spec: Any, scope: Scope) -> Stage:
    """``$fill``. Raises `CommandFailure`: 9, 14, 40414, 40415, 6050200 to 6050204, and what the two stages raise."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(9, f"The {name} stage specification must be an object, found {type_name(spec)}")
    unknown = next((option for option in spec if option not in _OPTIONS), None)
    if unknown is not None:
        raise CommandFailure(40415, f"BSON field '{name}.{unknown}' is an unknown field.")
    if "output" not in spec:
        raise CommandFailure(40414, f"BSON field '{name}.output' is missing but a required field")
    output, sort = spec["output"], spec.get("sortBy", {})
    for option, value in (("output", output), ("sortBy", sort)):
        if not isinstance(value, Mapping):
            raise _wrong_type(f"{name}.{option}", value)
    if not output:
        raise CommandFailure(6050203, "The output field in '$fill' must contain an object with at least one element")
    parsed = {field: _filling(name, each) for field, each in output.items()}
    window: dict[str, Any] = {"sortBy": sort} if sort else {}
    window |= _partition(name, spec)
    methods = {field: {_METHODS[each["method"]]: f"${field}"} for field, each in parsed.items() if "method" in each}
    values = {field: {"$ifNull": [f"${field}", each["value"]]} for field, each in parsed.items() if "value" in each}
    stages: list[dict[str, Any]] = []
    if methods:
        stages.append({"$setWindowFields": {**window, "output": methods}})
    if values:
        stages.append({"$addFields": values})
    pipeline = scope.pipeline(stages, scope.inside)
    return Stage(name, lambda context: Chain(pipeline.start(context)))


def _wrong_type(option: str, value: Any) -> CommandFailure:
    return CommandFailure(_TYPE_MISMATCH, f"BSON field '{option}' is the wrong type '{type_name(value)}'")


def _filling(name: str, spec: Any) -> Mapping[str, Any]:
    """What one field is filled with: a value, or by a method."""
    if not isinstance(spec, Mapping):
        raise CommandFailure(6050200, "Each fill output specification must be an object with exactly one field")
    unknown = next((option for option in spec if option not in ("value", "method")), None)
    if unknown is not None:
        raise CommandFailure(40415, f"BSON field '{name}.{unknown}' is an unknown field.")
    if "method" in spec:
        if not isinstance(spec["method"], str):
            raise _wrong_type(f"{name}.method", spec["method"])
        if "value" in spec:
            raise CommandFailure(
                6050201, "Each fill output specification must have exactly one of 'method' or 'value' fields, not both"
            )
        if spec["method"] not in _METHODS:
            raise CommandFailure(6050202, "Method must be either locf or linear")
    return spec


def _partition(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    if "partitionBy" in spec:
        if "partitionByFields" in spec:
            raise CommandFailure(
                6050204, "Maximum one of 'partitionBy' and 'partitionByFields can be specified in '$fill'"
            )
        if not isinstance(spec["partitionBy"], str | Mapping):
            raise _wrong_type(f"{name}.partitionBy", spec["partitionBy"])
        return {"partitionBy": spec["partitionBy"]}
    if "partitionByFields" not in spec:
        return {}
    fields = spec["partitionByFields"]
    if not isinstance(fields, list | tuple) or not all(isinstance(field, str) for field in fields):
        raise _wrong_type(f"{name}.partitionByFields", fields)
    return {"partitionBy": {field: f"${field}" for field in fields}}
