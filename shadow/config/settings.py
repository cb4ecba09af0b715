"""The whole configuration as one frozen value, and the rules that hold between entities."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from shadow.config.entities import EntitySettings
from shadow.config.models import FlagsSettings, GatesSettings, ProtocolSettings, Section, StoresSettings
from shadow.config.problems import Problem, did_you_mean, mistake


class Settings(Section):
    """Everything that the configuration says. Made by `shadow.config.load`, or directly in code."""

    stores: StoresSettings = StoresSettings()
    flags: FlagsSettings = FlagsSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    gates: GatesSettings = GatesSettings()
    entities: dict[str, EntitySettings] = Field(default_factory=dict)

    _path: Path | None = PrivateAttr(default=None)
    _found: dict[tuple[str, str], EntitySettings | None] = PrivateAttr(default_factory=dict)

    @field_validator("entities", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """An entity's name is its key; it need not be said twice."""
        if not isinstance(value, Mapping):
            return value
        return {
            name: {"name": name, **entity} if isinstance(entity, Mapping) else entity for name, entity in value.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in between_entities(self.entities.values(), self.entities):
            raise mistake(f"{problem.path}: {problem.what}", problem.fix)
        return self

    @property
    def path(self) -> Path | None:
        """The file that it was read from; None where it was made in code."""
        return self._path

    def entity_for(self, database: str, collection: str) -> EntitySettings | None:
        """The entity of a collection, None where it is not configured. The collection's own before any pattern.

        Under a pattern it is an entity of its own, named ``<pattern's entity>.<database>.<collection>``.
        """
        where = (database, collection)
        if where not in self._found:
            self._found[where] = self._find(database, collection)
        return self._found[where]

    def _find(self, database: str, collection: str) -> EntitySettings | None:
        covering = [entity for entity in self.entities.values() if entity.legacy.covers(database, collection)]
        covering.sort(key=lambda entity: entity.legacy.is_pattern)  # stable: patterns stay in the file's order
        return covering[0].concrete(database, collection) if covering else None


def between_entities(entities: Iterable[EntitySettings], names: Collection[str]) -> list[Problem]:
    """The mistakes that only show when the entities are seen together. ``names``: all that are declared."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str], str] = {}
    for entity in entities:
        path = f"entities.{entity.name}"
        for key, what in _claims(entity):
            owner = seen.setdefault((key, what), entity.name)
            if owner != entity.name:
                fix = f"let one of {owner} and {entity.name} go elsewhere"
                problems.append(Problem(f"{path}.{key}", f"is already taken by the entity {owner}", fix))
        unknown = [parent for parent in entity.parents if parent not in names]
        problems += [Problem(f"{path}.parents", "names no entity", did_you_mean(p, names)) for p in unknown]
        if entity.name in entity.parents:
            problems.append(Problem(f"{path}.parents", "an entity cannot be its own parent", "remove it"))
    return problems


def _claims(entity: EntitySettings) -> list[tuple[str, str]]:
    """What an entity must have for itself: its place in legacy, its table in new."""
    claims = [
        ("legacy.mongo", entity.legacy.mongo),
        ("legacy.redis", entity.legacy.redis),
        ("new.postgres", entity.new.postgres),
    ]
    return [(key, what) for key, what in claims if what is not None]
