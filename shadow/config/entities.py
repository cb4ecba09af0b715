"""The settings of one entity, and the collections that a pattern covers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from shadow.config import patterns
from shadow.config.models import Fraction, Section
from shadow.config.problems import did_you_mean, mistake
from shadow_adapters.mongo.store import ARMED
from shadow_flags.phases import PHASES, Phase

Layout = Literal["table", "documents"]

DOCUMENTS_SCHEMA = "shadow_documents"
"""Where the tables of the layout ``documents`` lie that are given no name."""

REST_COLUMN = "_rest"
"""Where the layout ``table`` keeps what the user's columns do not hold."""

IDENTIFIER_BYTES = 63  # PostgreSQL cuts longer names, silently
DERIVED_BYTES = 48  # what lies beside a table is named after it, with an ending of its own
READABLE = DERIVED_BYTES - 13  # characters of a name that stand before a hash
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SERVER_DATABASES = frozenset({"admin", "local", "config"})


class LegacySettings(Section):
    """Where the entity lies today: ``db.collection``, or a Redis key pattern. ``*`` stands for any characters."""

    mongo: str | None = None
    redis: str | None = None

    @field_validator("mongo")
    @classmethod
    def _collection(cls, value: str | None) -> str | None:
        if value is None or value == "*" or all(value.partition(".")):
            return value
        raise mistake("names no collection", 'write "database.collection", a pattern such as "tenant_*.events", or "*"')

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.mongo is None) == (self.redis is None):
            raise mistake("an entity lies in one legacy store", "give either mongo or redis")
        return self

    @property
    def is_pattern(self) -> bool:
        """Whether this names many collections."""
        return self.mongo is not None and "*" in self.mongo

    def covers(self, database: str, collection: str) -> bool:
        """Whether a collection is this one, or one of this pattern's. A pattern leaves the server's and Shadow's own
        alone."""
        if self.mongo is None:
            return False
        if not self.is_pattern:
            return self.mongo == f"{database}.{collection}"
        if not database or not collection:
            return False  # no name of a collection, which the driver will say
        if database in _SERVER_DATABASES or collection.startswith("system.") or collection == ARMED:
            return False
        return patterns.matches(self.mongo, database, collection)


class NewSettings(Section):
    """Where the entity goes: ``schema.table``, how it is laid out there, and its id column."""

    postgres: str | None = None
    layout: Layout = "documents"
    id: str = "id"
    codec: Literal["json", "raw", "hash"] | None = None  # of a keyspace's values
    value: str | None = None  # a keyspace's value column
    expires: str | None = None  # a keyspace's expiry column

    @field_validator("postgres")
    @classmethod
    def _table(cls, value: str | None) -> str | None:
        parts = value.split(".") if value is not None else []
        if len(parts) > 2 or not all(0 < len(part.encode()) <= IDENTIFIER_BYTES for part in parts):
            raise mistake("names no table", f'write "schema.table", each at most {IDENTIFIER_BYTES} bytes')
        return value


class EntitySettings(Section):
    """One entity. What is not said has a safe default: phase ``legacy``, the layout that loses nothing."""

    name: str
    legacy: LegacySettings
    new: NewSettings = NewSettings()
    columns: dict[str, str] = Field(default_factory=dict)  # field path -> column, for the layout ``table``
    phase: Phase | dict[Phase, int] = Phase.LEGACY
    sample_rate: Fraction = 1.0
    rehearse: bool = True
    reveal_samples: bool = False  # samples of mismatches may hold this entity's values
    on_lapse: Literal["serve", "refuse"] = "serve"
    parents: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        """Choose the layout by the presence of columns, and name a table that was given none."""
        if not isinstance(data, Mapping):
            return data
        new = data.get("new", {})
        if not isinstance(new, Mapping):
            return data
        layout = new.get("layout", "table" if data.get("columns") else "documents")
        new = {**new, "layout": layout}
        name, legacy = data.get("name"), data.get("legacy")
        pattern = legacy.get("mongo") if isinstance(legacy, Mapping) else getattr(legacy, "mongo", None)
        if layout == "documents" and isinstance(name, str) and isinstance(pattern, str) and "*" not in pattern:
            new.setdefault("postgres", f"{DOCUMENTS_SCHEMA}.{table_name(name)}")
        return {**data, "new": new}

    @field_validator("name")
    @classmethod
    def _flag_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise mistake("cannot name a flag", "use letters, digits, - and _ in the entity's name")
        return value

    @field_validator("phase", mode="before")
    @classmethod
    def _phase(cls, value: Any) -> Phase | dict[Phase, int]:
        if isinstance(value, str):
            return _phase_named(value)
        if not isinstance(value, Mapping):
            raise mistake(
                "is neither a phase nor a table of weights", 'write "shadow_read" or { shadow_read = 90, ... }'
            )
        weights = {_phase_named(phase): weight for phase, weight in value.items()}
        if not all(type(weight) is int and weight >= 0 for weight in weights.values()) or sum(weights.values()) != 100:
            raise mistake("the weights do not add up", "give whole numbers that sum to 100")
        if len({PHASES[phase].authority for phase in weights}) > 1:
            raise mistake("the weights mix phases of two authorities", "the authority moves for a whole entity at once")
        return weights

    @field_validator("columns")
    @classmethod
    def _columns(cls, value: dict[str, str]) -> dict[str, str]:
        if len(set(value.values())) < len(value):
            raise mistake("two fields go to one column", "give each field a column of its own")
        if any(field == "_id" or field.startswith("_id.") for field in value):
            raise mistake("_id is not mapped here", 'name its column in new: id = "..."')
        if not all(all(field.split(".")) and column for field, column in value.items()):
            raise mistake("a name is empty", 'write "field.path" = "column"')
        if any(field.startswith(f"{outer}.") for field in value for outer in value):
            raise mistake("a field lies inside another that is mapped too", "map the outer one or those inside it")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        taken = {self.new.id, REST_COLUMN} & set(self.columns.values())
        if taken:
            raise mistake("a field goes to the id column or to Shadow's own", "give it a column of its own")
        if self.new.layout == "documents" and self.columns:
            raise mistake("the layout documents has no columns", 'remove columns, or use layout = "table"')
        if self.legacy.is_pattern and (self.new.layout == "table" or self.new.postgres):
            raise mistake(
                "a pattern covers many collections, each with a table of its own",
                'use layout = "documents" and leave new.postgres out',
            )
        if self.new.layout == "table" and not self.new.postgres:
            raise mistake("the layout table needs a table", 'add postgres = "schema.table" to new')
        return self

    @property
    def table(self) -> str:
        """``schema.table`` in PostgreSQL. Raises `ValueError` for a pattern, which has no table of its own."""
        if self.new.postgres is None:
            raise ValueError(f"the entity {self.name} has no table of its own")
        return self.new.postgres

    def concrete(self, database: str, collection: str) -> EntitySettings:
        """The entity of one collection of this pattern; of an entity that is none, the entity itself."""
        if not self.legacy.is_pattern:
            return self
        where = f"{database}.{collection}"
        name = f"{self.name}.{where}"
        new = self.new.model_copy(update={"postgres": f"{DOCUMENTS_SCHEMA}.{table_name(name)}"})
        return self.model_copy(update={"name": name, "legacy": LegacySettings(mongo=where), "new": new})


def table_name(entity: str) -> str:
    """The name of an entity's table: its own, or, where PostgreSQL could not bear that, a readable one with a hash."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", entity)
    if plain == entity and len(plain) <= DERIVED_BYTES:
        return plain
    return f"{plain[:READABLE]}_{hashlib.sha256(entity.encode()).hexdigest()[:12]}"


def _phase_named(name: Any) -> Phase:
    if name in list(Phase):
        return Phase(name)
    raise mistake("is not a phase", did_you_mean(str(name), [phase.value for phase in Phase]))
