"""One flag of Unleash, read for every bucket through the client, so that whatever Unleash can say is heard.

The variant's name is the phase, and its payload (JSON) may carry settings. Strategies, constraints, segments, gradual
rollouts and parents are the client's business: it is asked once for each bucket, with the bucket as the user, and with
``bucket``, ``entity``, ``environment`` and ``host`` as properties to constrain on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shadow_flags.buckets import BUCKETS
from shadow_flags.phases import Phase
from shadow_flags.routes import OFF, compile_routes, uniform
from shadow_flags.settings import read_settings
from shadow_flags.sources.board import Said
from shadow_flags.weights import phase_named

PREFIX = "shadow."
KILL = f"{PREFIX}kill"

Variant = Mapping[str, Any]
Ask = Callable[[str, dict[str, Any]], Variant]


def flag_of(entity: str) -> str:
    """The name of an entity's flag."""
    return PREFIX + entity


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process runs, for constraints."""

    environment: str
    host: str

    def context(self, entity: str, bucket: str) -> dict[str, Any]:
        """The client's context for one bucket of an entity."""
        properties = {"bucket": bucket, "entity": entity, "environment": self.environment, "host": self.host}
        return {"userId": bucket, "properties": properties}


def killed() -> Said:
    """What holds for every entity while the kill flag is on."""
    return Said(routes=uniform(OFF), off=True)


def read_flag(entity: str, definition: Mapping[str, Any] | None, ask: Ask, place: Place) -> Said:
    """What an entity's flag says.

    Args:
        entity: its name.
        definition: the flag as the server sent it; None when the server has no such flag.
        ask: the client's ``get_variant``.
        place: where this process runs.

    A flag that says something unusable for any bucket says nothing at all: the last known state stays as a whole.
    """
    flag = flag_of(entity)
    if definition is None:
        return Said(problems=(f"Unleash has no flag {flag} for this token's project and environment: create it",))
    variants = [ask(flag, place.context(entity, str(bucket))) for bucket in range(BUCKETS)]
    distinct = {variant["name"]: variant for variant in variants if variant["feature_enabled"]}
    problems = [problem for variant in distinct.values() if (problem := _problem(flag, variant))]
    if problems:
        return Said(problems=tuple(problems))
    if not distinct:
        return Said(routes=uniform(OFF), off=True)
    phases = [Phase(variant["name"]) if variant["feature_enabled"] else None for variant in variants]
    settings, ignored = _settings(flag, distinct)
    return Said(routes=compile_routes(phases, settings), problems=(*ignored, *_advice(flag, definition)))


def depends_on(definition: Mapping[str, Any]) -> Iterator[str]:
    """The names of the flags that must be on for this one to be."""
    return (parent["feature"] for parent in definition.get("dependencies") or ())


def _problem(flag: str, variant: Variant) -> str | None:
    if not variant["enabled"]:
        return f"{flag} is on but gives no variant, so it names no phase: give each strategy variants named by phase"
    return phase_named(variant["name"], f"{flag}: variant")[1]


def _settings(flag: str, variants: Mapping[str, Variant]) -> tuple[dict[str, Any], list[str]]:
    """The settings of all payloads; where two variants differ, the further phase's hold."""
    merged: dict[str, Any] = {}
    problems: list[str] = []
    for phase in Phase:
        if payload := variants.get(phase, {}).get("payload"):
            settings, more = _payload(payload, f"{flag}: payload of {phase}")
            merged |= settings
            problems += more
    return merged, problems


def _payload(payload: Mapping[str, str], where: str) -> tuple[dict[str, Any], list[str]]:
    try:
        given = json.loads(payload["value"]) if payload.get("type") == "json" else None
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return {}, [f'{where}: must be a JSON object, such as {{"sample_rate": 0.5}}; ignored']
    return read_settings(given, where)


def _advice(flag: str, definition: Mapping[str, Any]) -> list[str]:
    """A warning where a bucket would be dealt anew at each change, and differently in each process."""
    if '"stickiness": "random"' in json.dumps(definition):
        return [f"{flag} uses random stickiness: set it to userId, which is the bucket, so that a key keeps its phase"]
    return []
