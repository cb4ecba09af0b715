"""The whole configuration as one frozen value, and the rules that hold between entities."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from shadow.config import patterns
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
        for problem in between_entities(list(self.entities.values()), self.entities):
            raise mistake(f"{problem.path}: {problem.what}", problem.fix)
        return self

    @property
    def path(self) -> Path | None:
        """The file that it was read from; None where it was made in code."""
        return self._path

    def entity_for(self, database: str, collection: str) -> EntitySettings | None:
        """The entity of a collection, None where it is not configured. The collection's own before any
        pattern, and of patterns the most exact one.

        Under a pattern it is an entity of its own, named ``<pattern's entity>.<database>.<collection>``.
        """
        where = (database, collection)
        if where not in self._found:
            self._found[where] = self._find(database, collection)
        return self._found[where]

    def _find(self, database: str, collection: str) -> EntitySettings | None:
        covering = [entity for entity in self.entities.values() if entity.legacy.covers(database, collection)]
        exact = [each for each in covering if all(_as_exact(each, other) for other in covering)]
        return exact[0].concrete(database, collection) if exact else None

    def has_database(self, database: str) -> bool:
        """Whether collections of a database are configured, or may be when they appear."""
        named = [entity.legacy.mongo for entity in self.entities.values() if entity.legacy.mongo is not None]
        return any(patterns.has_database(pattern, database) for pattern in named)

    def has_below(self, database: str, collection: str) -> bool:
        """Whether collections are configured whose names begin with this one's and a dot (`fs.files`, `fs`)."""
        named = [entity.legacy.mongo for entity in self.entities.values() if entity.legacy.mongo is not None]
        return any(patterns.meet(pattern, f"{database}.{collection}.*") for pattern in named)

    def entity_named(self, name: str) -> EntitySettings | None:
        """The entity of a name: a configured one (a pattern is itself), or that of a pattern's collection."""
        if name in self.entities:
            return self.entities[name]
        _, _, where = name.partition(".")
        database, _, collection = where.partition(".")
        found = self.entity_for(database, collection) if database and collection else None
        return found if found is not None and found.name == name else None


def between_entities(entities: Sequence[EntitySettings], names: Collection[str]) -> list[Problem]:
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
    return problems + _equally_exact(entities)


def _as_exact(one: EntitySettings, other: EntitySettings) -> bool:
    """Whether one of two entities that cover the same collection is at least as exact as the other."""
    return patterns.within(one.legacy.mongo or "", other.legacy.mongo or "")


def _equally_exact(entities: Sequence[EntitySettings]) -> list[Problem]:
    """Patterns that may cover the same collection, neither of which is the more exact one."""
    covering = [entity for entity in entities if entity.legacy.is_pattern]
    return [
        Problem(
            f"entities.{other.name}.legacy.mongo",
            f"may cover the same collections as the entity {one.name}, and neither of the two patterns is more exact",
            f"let one of {one.name} and {other.name} cover less",
        )
        for one, other in combinations(covering, 2)
        if patterns.meet(one.legacy.mongo or "", other.legacy.mongo or "")
        and one.legacy.mongo != other.legacy.mongo
        and _as_exact(one, other) == _as_exact(other, one)
    ]


def _claims(entity: EntitySettings) -> list[tuple[str, str]]:
    """What an entity must have for itself: its place in legacy, its table in new."""
    claims = [
        ("legacy.mongo", entity.legacy.mongo),
        ("legacy.redis", entity.legacy.redis),
        ("new.postgres", entity.new.postgres),
    ]
    return [(key, what) for key, what in claims if what is not None]
